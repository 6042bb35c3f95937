"""A busy program under pyroscope-io 1.x, which sends by Push: while it runs, and the rest when it ends."""

import os
import sys
import time

import pyroscope

UPLOAD_INTERVAL_SECONDS = 3


def burn_cpu_while_running(until):
    total = 0
    while time.time() < until:
        total += sum(range(1000))
    return total


def burn_cpu_before_exit(until):
    total = 0
    while time.time() < until:
        total += sum(range(1000))
    return total


def main():
    pyroscope.configure(
        application_name=os.environ["PYROSCOPE_APPLICATION_NAME"],
        server_address=os.environ["PYROSCOPE_SERVER_ADDRESS"],
        tags={"region": "eu-west"},
        upload_interval=UPLOAD_INTERVAL_SECONDS,
        enable_logging=True,
    )
    # One upload falls into the first function's time and none into the second's.
    burn_cpu_while_running(time.time() + UPLOAD_INTERVAL_SECONDS + 1)
    burn_cpu_before_exit(time.time() + 1)
    return 0 if pyroscope.shutdown() else 1


if __name__ == "__main__":
    sys.exit(main())
