"""Freed memory is taken again, and not made anew by the system."""

import subprocess
import sys

FAULTS = """
import resource
import numpy as np
from store.allocation import keep_freed_memory
assert not {keep} or keep_freed_memory(64 << 20, one_arena=True)
def answer():
    arrays = [np.ones(400_000) for _ in range(6)]
    return sum(array[0] for array in arrays)
answer(), answer()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    answer()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_arrays_come_and_go_without_new_pages() -> None:
    kept, given_back = (
        int(subprocess.check_output([sys.executable, "-c", FAULTS.format(keep=keep)], timeout=60))
        for keep in (True, False)
    )
    assert kept < given_back / 10
