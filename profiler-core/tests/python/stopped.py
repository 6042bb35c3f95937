# Stops itself below calls of each kind: from Python, from a sort and from a list, both of which are C, and in a generator.
import os
import signal
import sys


def stop_here(item):
    sys.stderr.write("%d\n" % os.getpid())
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGSTOP)
    return item


class Shop:
    def sort(self):
        return sorted([1], key=stop_here)


def generate(shop):
    yield shop.sort()


def consume(shop):
    return list(generate(shop))


def descend(depth, shop):
    return descend(depth - 1, shop) if depth else consume(shop)


descend(5, Shop())
