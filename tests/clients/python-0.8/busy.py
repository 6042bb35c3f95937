"""A busy program under pyroscope-io 0.8, which sends to /ingest: while it runs, and the rest when it ends."""

import os
import time

import pyroscope

# Not configurable in this version; uploads are made when the clock shows a multiple of it.
UPLOAD_INTERVAL_SECONDS = 10


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
        # The tags become labels of the samples inside the profile.
        tags={"region": "eu-west"},
        enable_logging=True,
    )
    # One upload falls into the first function's time and none into the second's.
    next_upload = (int(time.time() + 1) // UPLOAD_INTERVAL_SECONDS + 1) * UPLOAD_INTERVAL_SECONDS
    burn_cpu_while_running(next_upload + 1)
    burn_cpu_before_exit(time.time() + 1)
    pyroscope.shutdown()
    # The last upload is sent from another thread, whose answer nobody awaits: time to send it, no more.
    time.sleep(0.5)


if __name__ == "__main__":
    main()
