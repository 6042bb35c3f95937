# Stops itself below calls of each kind: from Perl, below a sort, which is C, in a subroutine without a name, in an eval and
# in loops.
use strict;
use warnings;

sub stop_here {
    syswrite(STDERR, "$$\n");
    kill(STOP => $$);
    return 0;
}

package Trade::Shop;

sub sorted {
    return sort { main::stop_here() } 2, 1;
}

sub by_name($$) {
    my @sorted = sorted();
    return 0;
}

sub offer {
    my ($class, $then) = @_;
    for my $item (1) {
        eval {
            $then->($class);
        };
    }
}

package main;

sub descend {
    my ($depth) = @_;
    return descend($depth - 1) if $depth;
    my $then = sub {
        my @sorted = sort Trade::Shop::by_name 2, 1;
    };
    Trade::Shop->offer($then);
}

descend(5);
