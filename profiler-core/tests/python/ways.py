# Works in one function that many ways lead to, by chance: its callers alone tell them apart. Ends with its input. No way
# asks the kernel for anything: on a busy machine it is there that programs are interrupted, and debuggers stop them.
import contextlib
import functools
import operator
import random
import re
import sys
import threading

ROUNDS = 2000


def work(seed=0):
    value = seed
    for number in range(ROUNDS):
        value = (value * 31 + number) % 65521
    return value


def descend(depth):
    return descend(depth - 1) if depth else work()


def recursion():
    descend(7)


def generators():
    def inner():
        yield work()

    def outer():
        yield from inner()

    next(outer())


def coroutines():
    async def inner():
        return work()

    async def outer():
        return await inner()

    try:
        outer().send(None)
    except StopIteration:
        pass


def sort():
    sorted([1], key=lambda item: work(item))


def reduction():
    functools.reduce(lambda left, right: work(left + right), [1, 2])


def replacement():
    re.sub("a", lambda match: str(work(len(match.group()))), "a")


def comprehension():
    # A function of its own until Python 3.11.
    return [work(item) for item in (1,)]


WRITTEN = compile("def written(run):\n    return run()\nwritten(run)", "<written>", "exec")


def text():
    exec(WRITTEN, {"run": work})


class Base:
    def __init__(self, seed):
        self.seed = seed

    def method(self):
        return work(self.seed)


class Meta(type):
    def __call__(cls, *arguments):
        instance = super().__call__(*arguments)
        instance.method()
        return instance


class Derived(Base, metaclass=Meta):
    def method(self):
        return super().method()


class Special:
    @property
    def value(self):
        return work()

    def __getattr__(self, name):
        return work(len(name))

    def __add__(self, other):
        return work(other)

    def __iter__(self):
        yield work()


def construction():
    Derived(3)


def attribute():
    operator.attrgetter("value")(Special())


def absent():
    Special().absent


def operators():
    Special() + 1


def iteration():
    list(Special())


def traced(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments)

    return wrapper


@traced
@traced
def decoration():
    work()


@contextlib.contextmanager
def entered():
    yield work()


def context():
    with entered():
        pass


partial = functools.partial(work, 5)


def failure():
    try:
        raise ValueError
    except ValueError:
        partial()


WAYS = [
    recursion,
    generators,
    coroutines,
    sort,
    reduction,
    replacement,
    comprehension,
    text,
    construction,
    attribute,
    absent,
    operators,
    iteration,
    decoration,
    context,
    failure,
]


def run():
    chance = random.Random(1)
    while True:
        chance.choice(WAYS)()


threading.Thread(target=run, daemon=True).start()
sys.stdin.read()
