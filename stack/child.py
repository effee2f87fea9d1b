"""`python -m stack.child -- command …`: become a command that does not outlive the process that started it.

Linux tells the kernel to kill it then; elsewhere the command runs without that promise.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have this process killed when `parent`, the process that started it, is gone."""
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    # It may have gone before we asked.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def main(arguments: list[str]) -> None:
    """Become the command after `--`."""
    if len(arguments) < 2 or arguments[0] != "--":
        raise SystemExit("usage: python -m stack.child -- command [argument …]")
    die_with_parent(os.getppid())
    os.execvp(arguments[1], arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
