"""Many levels of one factor: every draw evaluated exactly, against a few hundred and a polynomial between them.

Run it with `python -m benchmarks.interpolated [TURNS]`; it prints times, their ratios, and the polynomial's error.
"""

import sys
from unittest.mock import patch

import numpy as np

from benchmarks.peers.ours import Ours
from benchmarks.peers.process import Columns
from benchmarks.peers.turns import Task, conditions, report, spread, take_turns
from worker import interpolated

ROWS_PER_LEVEL, TURNS = 20, 3
CASES = (
    (2, 4_000, 0.5),
    (2, 8_000, 0.5),
    (2, 20_000, 0.5),
    (2, 50_000, 0.5),
    (2, 20_000, 0.0),
    (3, 12_000, 0.5),
    (3, 16_000, 0.5),
)
"""Coefficients of a level, levels, and the sd of their slopes over that of the residuals."""


def simulated(coefficients: int, levels: int, slope: float, seed: int = 0) -> tuple[str, Columns]:
    """A formula with all coefficients correlated, and rows spread at random over the levels."""
    source = np.random.default_rng(seed)
    level = source.integers(0, levels, ROWS_PER_LEVEL * levels)
    y = source.normal(size=len(level)) + source.normal(0, 0.7, levels)[level]
    columns = {}
    for name in ("x", "z")[: coefficients - 1]:
        columns[name] = source.normal(size=len(level))
        y = y + columns[name] * (0.3 + slope * source.normal(size=levels)[level])
    predictors = " + ".join(["1", *columns])
    return f"y ~ {predictors} + ({predictors} | g)", {**columns, "y": y, "g": level}


def told(ours: Ours, interpolate: bool) -> Task:
    """The fit where it is told whether to interpolate, whatever that is worth."""

    def run() -> float:
        with patch.object(interpolated, "is_worth_it", return_value=interpolate):
            return ours()

    return run


def main(turns: int) -> None:
    """Measure and print."""
    conditions()
    for coefficients, levels, slope in CASES:
        formula, columns = simulated(coefficients, levels, slope)
        print(f"{formula}, {len(columns['y']):,} rows, {levels:,} levels, sd of slopes {slope}")
        between, exact = Ours(formula, columns), Ours(formula, columns)
        tasks = {"interpolated": told(between, True), "exact": told(exact, False)}
        report(take_turns(tasks, turns), "interpolated")
        for name, ours in (("interpolated", between), ("exact", exact)):
            print(f"  {name}: smallest bulk ESS {spread(np.array(ours.least_ess()))}; ms: {ours.phases()}")
        statistics = between.results[-1].posterior.statistics
        told_of = ("surrogate_error", "eliminations", "leapfrog_steps")
        print(" ", {name: statistics[name] for name in told_of if name in statistics})


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else TURNS)
