<?php
// Stops itself below calls of each kind: from PHP, below a sort and a map, which are C, in functions without a name, in a
// generator, in a class without a name and in code of another file.

namespace Trade;

function stop_here(): int
{
    fwrite(STDERR, getmypid() . "\n");
    posix_kill(getmypid(), 19);
    return 0;
}

class Shop
{
    public static function byName($one, $other): int
    {
        return stop_here();
    }

    public function sorted(): array
    {
        $values = [2, 1];
        usort($values, [self::class, 'byName']);
        return $values;
    }

    public function each(): iterable
    {
        yield $this->sorted();
    }
}

function visit(): void
{
    $visitor = new class {
        public function visit(Shop $shop): void
        {
            foreach ($shop->each() as $value) {
            }
        }
    };
    $visit = function ($shop) use ($visitor) {
        $visitor->visit($shop);
    };
    array_map($visit, [new Shop()]);
}

function descend(int $depth): void
{
    if ($depth) {
        descend($depth - 1);
    } else {
        require __DIR__ . '/included.php';
    }
}

descend(5);
