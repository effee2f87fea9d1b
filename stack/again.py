"""`python -m stack.again -- command …`: run a command, and once more whenever it ends with a wish to be (status 75).

A signal is for the command: it is in our process group, gets it as we do, and we end when it has.
"""

import signal
import subprocess
import sys

AGAIN = 75
"""EX_TEMPFAIL of sysexits.h, with which a worker that has gone deaf ends."""


def run(command: list[str]) -> int:
    """Run a command until it ends with another status than AGAIN, or a signal says to stop; gives its status."""
    told_to_stop = False

    def stop(*_: object) -> None:
        nonlocal told_to_stop
        told_to_stop = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    while True:
        status = subprocess.Popen([sys.executable, "-m", "stack.child", "--", *command]).wait()
        if status != AGAIN or told_to_stop:
            return status


def main(arguments: list[str]) -> None:
    """Run the command after `--`."""
    if len(arguments) < 2 or arguments[0] != "--":
        raise SystemExit("usage: python -m stack.again -- command [argument …]")
    status = run(arguments[1:])
    raise SystemExit(128 - status if status < 0 else status)


if __name__ == "__main__":
    main(sys.argv[1:])
