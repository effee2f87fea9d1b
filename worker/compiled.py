"""Compiled programs, found by their frozen shape; counts what was compiled and how long that took.

XLA's persistent cache stands behind the one in memory: a fresh process loads what another has compiled.
"""

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
# Where JAX_COMPILATION_CACHE_DIR names a folder, every executable goes there, however small or quickly made.
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


class Compiled:
    """Executables by key, and what their making has cost."""

    def __init__(self) -> None:
        self.compilations = 0
        self._programs: dict[Hashable, Any] = {}
        self._lock = threading.Lock()
        self._waited = threading.local()

    @property
    def seconds(self) -> float:
        """How long this thread has waited for compilations, its own or another thread's of the same program."""
        return getattr(self._waited, "seconds", 0.0)

    @property
    def loaded(self) -> int:
        """How many programs this thread has found in JAX's folder, which takes a fraction of their compilation."""
        return getattr(self._waited, "loaded", 0)

    @contextmanager
    def announced(self, announce: Callable[[], None]) -> Iterator[None]:
        """Call `announce` whenever this thread is about to wait for a compilation."""
        before = getattr(self._waited, "announce", None)
        self._waited.announce = announce
        try:
            yield
        finally:
            self._waited.announce = before

    def get(self, key: Hashable, function: Callable[..., Any], *example: Any) -> Any:
        """The executable of a pure function for arguments of the example's shapes; compiled at the first call."""
        if key in self._programs:
            return self._programs[key]
        if (announce := getattr(self._waited, "announce", None)) is not None:
            announce()
        started = time.perf_counter()
        with self._lock:
            if key not in self._programs:
                self._programs[key] = jax.jit(function).lower(*jax.tree.map(_abstract, example)).compile()
                self.compilations += 1
        self._waited.seconds = self.seconds + time.perf_counter() - started
        return self._programs[key]

    def hear(self, event: str, **_: object) -> None:
        """Be told by JAX, in the thread that compiles, that a program was in its folder."""
        if event == "/jax/compilation_cache/cache_hits":
            self._waited.loaded = self.loaded + 1


def handed_over(data: Any) -> Any:
    """Arrays that many calls of a program will read, where reading them is cheapest.

    A program reads small arrays where they lie: to hand over twenty of them takes as long as two or three of its calls.
    """
    size = sum(np.asarray(array).nbytes for array in jax.tree.leaves(data))
    return data if size <= _SMALL_BYTES else jax.device_put(data)


_SMALL_BYTES = 1 << 16


def _abstract(value: Any) -> jax.ShapeDtypeStruct:
    if isinstance(value, jax.ShapeDtypeStruct):
        return value
    return jax.ShapeDtypeStruct(np.shape(value), np.asarray(value).dtype)


COMPILED = Compiled()
jax.monitoring.register_event_listener(COMPILED.hear)
