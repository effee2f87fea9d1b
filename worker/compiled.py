"""Compiled programs, found by their frozen shape; counts what was compiled and how long that took.

XLA's persistent cache stands behind the one in memory: a fresh process loads what another has compiled.
"""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
# Where JAX_COMPILATION_CACHE_DIR names a folder, every executable goes there, however small or quickly made.
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@dataclass
class Compiled:
    """Executables by key, and what their making has cost."""

    programs: dict[Hashable, Any] = field(default_factory=dict)
    compilations: int = 0
    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: Hashable, function: Callable[..., Any], *example: Any) -> Any:
        """The executable of a pure function for arguments of the example's shapes; compiled at the first call."""
        with self._lock:
            program = self.programs.get(key)
            if program is None:
                started = time.perf_counter()
                abstract = jax.tree.map(
                    lambda x: jax.ShapeDtypeStruct(np.shape(x), np.asarray(x).dtype), example
                )
                program = jax.jit(function).lower(*abstract).compile()
                self.programs[key] = program
                self.compilations += 1
                self.seconds += time.perf_counter() - started
            return program


COMPILED = Compiled()
