<?php
// Serves one request: works until a file is there, which the request names.

namespace Shop;

class Cart
{
    public function total(): int
    {
        $sum = 0;
        for ($number = 0; $number < 10000; $number++) {
            $sum = ($sum * 31 + $number) % 65521;
        }
        return $sum;
    }
}

$cart = new Cart();
while (!file_exists($_SERVER['UNTIL'])) {
    $cart->total();
}
echo $_SERVER['UNTIL'];
