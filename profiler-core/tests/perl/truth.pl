# Does work in alpha, beta and gamma, one process: alpha below calls of its own, beta in a subroutine without a name, gamma
# below a sort, which is C. When its input ends it says how many nanoseconds of CPU time each took.
use strict;
use warnings;
use Time::HiRes qw(clock_gettime CLOCK_PROCESS_CPUTIME_ID);

my $DEPTH = 30;
my $ROUNDS = 3000;
my %took = (alpha => 0, beta => 0, gamma => 0);

package Work;

sub alpha {
    my $began = main::clock();
    my $value = 0;
    for my $number (1 .. $ROUNDS) {
        $value = ($value * 31 + $number) % 65521;
    }
    $took{alpha} += main::clock() - $began;
    return $value;
}

my $beta = sub {
    my $began = main::clock();
    my $value = 0;
    for my $number (1 .. $ROUNDS) {
        $value = ($value * 31 + $number) % 65521;
    }
    $took{beta} += main::clock() - $began;
    return $value;
};

sub gamma {
    my $began = main::clock();
    my $value = 0;
    for my $number (1 .. $ROUNDS) {
        $value = ($value * 31 + $number) % 65521;
    }
    $took{gamma} += main::clock() - $began;
    return 0;
}

sub asks {
    return $beta->(@_);
}

package main;

sub clock {
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID);
}

sub descend {
    my ($depth) = @_;
    return $depth ? descend($depth - 1) : Work::alpha();
}

sub run {
    my $number = int(rand(10));
    if ($number < 5) {
        descend($DEPTH);
    } elsif ($number < 8) {
        Work::asks();
    } else {
        my @sorted = sort { Work::gamma() } 1, 2;
    }
}

srand(1);
my $asked = 0;
vec(my $input = '', fileno(STDIN), 1) = 1;
until (select(my $ready = $input, undef, undef, 0)) {
    run() for 1 .. 100;
}
printf "%s %d\n", $_, $took{$_} * 1e9 for sort keys %took;
