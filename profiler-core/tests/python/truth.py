# Does work in alpha, beta and gamma, on two threads: alpha below calls of its own, beta in a generator that another one
# asks, gamma below a sort, which is C. When its input ends it says how many nanoseconds of CPU time each took.
import random
import sys
import threading
import time

DEPTH = 30
ROUNDS = 3000


def clock():
    return time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)


class Work:
    def __init__(self):
        self.took = {"alpha": 0.0, "beta": 0.0, "gamma": 0.0}

    def alpha(self):
        began = clock()
        value = 0
        for number in range(ROUNDS):
            value = (value * 31 + number) % 65521
        self.took["alpha"] += clock() - began
        return value

    def gamma(self, item):
        began = clock()
        value = item
        for number in range(ROUNDS):
            value = (value * 31 + number) % 65521
        self.took["gamma"] += clock() - began
        return value


def beta(work):
    while True:
        began = clock()
        value = 0
        for number in range(ROUNDS):
            value = (value * 31 + number) % 65521
        work.took["beta"] += clock() - began
        yield value


def asking(generator):
    for value in generator:
        yield value


def descend(work, depth):
    if depth:
        return descend(work, depth - 1)
    return work.alpha()


def run(work, seed):
    chance = random.Random(seed)
    generator = asking(beta(work))
    while True:
        number = chance.randrange(10)
        if number < 5:
            descend(work, DEPTH)
        elif number < 8:
            next(generator)
        else:
            sorted([1], key=work.gamma)


works = [Work(), Work()]
for seed, work in enumerate(works):
    threading.Thread(target=run, args=(work, seed), daemon=True).start()
sys.stdin.read()
for name in sorted(works[0].took):
    print(name, int(1e9 * sum(work.took[name] for work in works)))
sys.stdout.flush()
