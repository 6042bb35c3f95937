<?php
// Does work in alpha, beta and gamma, one process: alpha below calls of its own, beta in a function without a name, gamma
// below a sort, which is C. When its input ends it says how many nanoseconds of time each took.

namespace Work;

const DEPTH = 30;
const ROUNDS = 10000;

final class Took
{
    public static array $nanoseconds = ['alpha' => 0, 'beta' => 0, 'gamma' => 0];
    public static $beta;
}

class Descent
{
    private function descend(int $depth): int
    {
        return $depth ? $this->descend($depth - 1) : alpha();
    }

    public function begin(): int
    {
        return $this->descend(DEPTH);
    }

    public static function gamma(int $one, int $other): int
    {
        $began = clock();
        $value = $one;
        for ($number = 0; $number < ROUNDS; $number++) {
            $value = ($value * 31 + $number) % 65521;
        }
        Took::$nanoseconds['gamma'] += clock() - $began;
        return $one - $other;
    }
}

function clock(): int
{
    $used = getrusage();
    return ($used['ru_utime.tv_sec'] + $used['ru_stime.tv_sec']) * 1000000000
        + ($used['ru_utime.tv_usec'] + $used['ru_stime.tv_usec']) * 1000;
}

function alpha(): int
{
    $began = clock();
    $value = 0;
    for ($number = 0; $number < ROUNDS; $number++) {
        $value = ($value * 31 + $number) % 65521;
    }
    Took::$nanoseconds['alpha'] += clock() - $began;
    return $value;
}

function asks(): int
{
    return (Took::$beta)(1);
}

function run(): void
{
    $number = mt_rand(0, 9);
    if ($number < 5) {
        (new Descent())->begin();
    } elseif ($number < 8) {
        asks();
    } else {
        $values = [2, 1];
        usort($values, [Descent::class, 'gamma']);
    }
}

Took::$beta = function (int $value): int {
    $began = clock();
    for ($number = 0; $number < ROUNDS; $number++) {
        $value = ($value * 31 + $number) % 65521;
    }
    Took::$nanoseconds['beta'] += clock() - $began;
    return $value;
};

mt_srand(1);
stream_set_blocking(STDIN, false);
while (fgets(STDIN) === false && !feof(STDIN)) {
    for ($time = 0; $time < 100; $time++) {
        run();
    }
}
foreach (Took::$nanoseconds as $name => $took) {
    echo $name, ' ', $took, "\n";
}
