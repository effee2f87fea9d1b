"""`python -m stack.again -- command …`: run a command, and once more whenever it wishes so (status 75) or is cut down.

A signal is for the command: it is in our process group, gets it as we do, and we end when it has.
"""

import signal
import subprocess
import sys
import time

AGAIN = 75
"""EX_TEMPFAIL of sysexits.h, with which a worker that has gone deaf ends."""
SETTLED = 10.0
"""Seconds. What fails sooner would fail again, for want of a setting for instance; what fails later met with something:
it was killed for its memory, or took a message that ends whoever reads it."""


def run(command: list[str], settled: float = SETTLED) -> int:
    """Run a command until it ends well, fails within `settled` seconds, or a signal says to stop; gives its status."""
    told_to_stop = False

    def stop(*_: object) -> None:
        nonlocal told_to_stop
        told_to_stop = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    while True:
        started = time.monotonic()
        status = subprocess.Popen([sys.executable, "-m", "stack.child", "--", *command]).wait()
        failed_at_once = status != AGAIN and time.monotonic() - started < settled
        if status == 0 or failed_at_once or told_to_stop:
            return status


def main(arguments: list[str]) -> None:
    """Run the command after `--`."""
    if len(arguments) < 2 or arguments[0] != "--":
        raise SystemExit("usage: python -m stack.again -- command [argument …]")
    status = run(arguments[1:])
    raise SystemExit(128 - status if status < 0 else status)


if __name__ == "__main__":
    main(sys.argv[1:])
