"""Two or more tasks in turn, A B A B …, and the ratios of what they took: load from outside falls on all alike.

A time by itself belongs to a machine and a moment; the ratio of two that were taken together is what is claimed.
"""

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Task = Callable[[], float]
"""Does its work and gives the seconds that count."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Seconds of each task by turn."""

    seconds: Mapping[str, NDArray[np.float64]]

    def ratio(self, one: str, other: str) -> NDArray[np.float64]:
        """Seconds of one task per second of the other, by turn."""
        return self.seconds[one] / self.seconds[other]


def take_turns(tasks: Mapping[str, Task], turns: int, *, rehearsals: int = 1) -> Turns:
    """Let each task run `turns` times, one after the other; `rehearsals` before that do not count."""
    for _ in range(rehearsals):
        for task in tasks.values():
            task()
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(turns):
        for name, task in tasks.items():
            taken[name].append(task())
    return Turns({name: np.array(values) for name, values in taken.items()})


def in_a_row(task: Task, times: int) -> Task:
    """A task done several times, whose seconds are the median of theirs."""
    return lambda: float(np.median([task() for _ in range(times)]))


def report(turns: Turns, base: str) -> None:
    """Print every task's seconds, and how many times those of `base` they are: median (min to max)."""
    for name, seconds in turns.seconds.items():
        print(f"  {name:<34} {spread(seconds)} s   {spread(turns.ratio(name, base))} times {base}")


def spread(values: NDArray[np.float64]) -> str:
    """Median, and in brackets the smallest and the largest."""
    low, middle, high = np.min(values), np.median(values), np.max(values)
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def conditions() -> None:
    """Print on what, and beside what, the figures were taken."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}; load {load}")
