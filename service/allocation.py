"""Memory that answers have freed stays with the process, up to a bound: the next answer takes it again.

Every answer makes arrays of megabytes and drops them. Given back to the system each time, they come back as pages that
have to be zeroed, which costs more than the arithmetic on them.
"""

import ctypes

KEPT_BYTES = 64 << 20
"""Freed memory that is kept; single arrays from half of it on go back at once."""

# From glibc's malloc.h; see mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def keep_freed_memory() -> bool:
    """Tell the C library to keep what is freed; False where it has no such settings."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = (
        # One arena for all threads, so that the bound is that of the process. They wait for each other's GIL anyway.
        (_ARENA_MAX, 1),
        (_TRIM_THRESHOLD, KEPT_BYTES),
        (_MMAP_THRESHOLD, KEPT_BYTES // 2),
    )
    return all(mallopt(name, value) == 1 for name, value in settings)
