"""One thread for each call of BLAS: a process computes on the thread that asks.

The matrices here are small, and what splits them waits longer for its other threads than it works, the more so beside
XLA's threads or other requests: several processes are what uses several cores.
"""

import os

from threadpoolctl import threadpool_limits

_VARIABLE = "OPENBLAS_NUM_THREADS"


def one_blas_thread() -> None:
    """Limit this process and those that it starts; one whose environment says how many is left alone."""
    if _VARIABLE not in os.environ:
        # What is loaded already listens to the one, what is loaded later to the other.
        threadpool_limits(limits=1, user_api="blas")
        os.environ[_VARIABLE] = "1"
