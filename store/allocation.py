"""Memory that is freed stays with the process, up to a bound: the next array takes it again.

Both processes make arrays of megabytes and drop them. Given back to the system each time, they come back as pages that
have to be zeroed: a third of the cost of a page of levels, a tenth of that of a small fit.
"""

import ctypes

# From glibc's malloc.h; see mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def keep_freed_memory(kept_bytes: int, *, one_arena: bool) -> bool:
    """Tell the C library to keep what is freed, but for single arrays of half of `kept_bytes` or more.

    With one arena the bound is that of the process, and threads wait for each other to allocate; else it is that of
    each of a few arenas. Gives False where the library has no such settings.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = [(_TRIM_THRESHOLD, kept_bytes), (_MMAP_THRESHOLD, min(kept_bytes // 2, 32 << 20))]
    if one_arena:
        settings.append((_ARENA_MAX, 1))
    return all(mallopt(name, value) == 1 for name, value in settings)
