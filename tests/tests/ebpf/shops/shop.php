<?php

namespace Shop;

class Cart
{
    public function total(): int
    {
        return array_sum(array_map(fn ($number) => $this->price($number), range(1, 10000)));
    }

    private function price(int $number): int
    {
        return $number * $number;
    }
}

while (true) {
    (new Cart())->total();
}
