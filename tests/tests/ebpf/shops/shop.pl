package Shop::Cart;

sub total {
    my ($class) = @_;
    my $sum = 0;
    $sum += $class->price($_) for 1 .. 10_000;
    return $sum;
}

sub price {
    my ($class, $number) = @_;
    return $number * $number;
}

package main;

Shop::Cart->total while 1;
