"""Named random streams: the same name gives the same numbers, whatever else was drawn, and in which process.

A stream is named by a seed and by what it is for, so draws do not depend on the order in which they are asked for.
"""

from hashlib import blake2b

import numpy as np


def stream(seed: int, *purpose: str | int | float | bool) -> np.random.Generator:
    """A generator of its own for one purpose, for instance `stream(seed, "effects", "teacher_id", "t01")`."""
    words = "\x1f".join(f"{type(word).__name__}:{word}" for word in (seed, *purpose))
    key = int.from_bytes(blake2b(words.encode("utf-8", "surrogatepass"), digest_size=16).digest(), "little")
    # Of NumPy's generators the one that is quickest, both to make and to draw from.
    return np.random.Generator(np.random.SFC64(key))
