"""A first fit by NUTS in a fresh process whose compilation cache is filled: the time until its chains move.

Run it with `python -m benchmarks.first_draw`. The first process fills the cache, the others find it; before the clock
starts each has fitted a gaussian model, as a worker does before it takes fits.
"""

import os
import subprocess
import sys
import tempfile
import time

from benchmarks.nuts import TASKS, plan_of
from tests.worker.silent import Silent

PROCESSES = 3


class Begun(Exception):
    """The chains move."""


class Starter(Silent):
    """Stops a fit at its first transition."""

    def report(self, phase: str, fraction: float | None = None, draws: int = 0, divergences: int = 0) -> None:
        """Notice the first transition."""
        if phase in ("warmup", "sampling") and fraction:
            raise Begun


def child() -> None:
    """Warm up, and time the start of each task's fit."""
    from worker.fitting import fit, warm_up

    warm_up()
    for task in TASKS:
        wall, processor = time.perf_counter(), time.process_time()
        try:
            fit(plan_of(task), Starter())
        except Begun:
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            print(f"  {task.title}: {wall:.2f} s, {processor:.2f} of the processor", flush=True)


def main() -> None:
    """Start the processes one after another."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": folder}
        for number in range(PROCESSES):
            filled = "filled" if number else "empty"
            print(f"process {number + 1}, cache {filled}, load {os.getloadavg()[0]:.1f}", flush=True)
            subprocess.run(
                [sys.executable, "-m", "benchmarks.first_draw", "child"], env=environment, check=True
            )


if __name__ == "__main__":
    child() if sys.argv[1:] == ["child"] else main()
