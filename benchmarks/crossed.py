"""Ratings of teachers by students, the size of InstEval: two crossed factors, a posterior against lme4's estimate.

Run it with `python -m benchmarks.crossed [TEACHERS …]`; by default with 100 teachers, and with the 1,128 of InstEval.
"""

import sys
from contextlib import ExitStack

import numpy as np

from benchmarks.peers.ours import Ours
from benchmarks.peers.process import Columns, lme4
from benchmarks.peers.turns import Task, conditions, report, spread, take_turns
from model.errors import InvalidModel

FORMULA = "y ~ 1 + (1 | s) + (1 | d)"
ROWS, STUDENTS, TURNS = 73_421, 2_972, 3
TEACHERS = (100, 1_128)


def simulated(teachers: int, seed: int = 1) -> Columns:
    """Ratings with the sds that lme4 finds in InstEval: students .32, teachers .51, residual 1.18."""
    source = np.random.default_rng(seed)
    student, teacher = source.integers(0, STUDENTS, ROWS), source.integers(0, teachers, ROWS)
    y = 3.3 + source.normal(0, 0.32, STUDENTS)[student] + source.normal(0, 0.51, teachers)[teacher]
    return {"y": y + source.normal(0, 1.18, ROWS), "s": student, "d": teacher}


def compare(teachers: int) -> None:
    """Fit in turn and print."""
    columns = simulated(teachers)
    print(f"{FORMULA}: {ROWS:,} rows, {STUDENTS:,} + {teachers:,} levels, 4 x 1000 draws, default priors")
    ours = Ours(FORMULA, columns)
    try:
        print(f"  ranef, a first fit with compilation: {ours():.2f} s")
    except InvalidModel as refusal:
        print(f"  ranef: {refusal}")
        return
    with ExitStack() as running:
        peer = lme4(FORMULA, columns)
        tasks: dict[str, Task] = {"ranef": ours}
        if peer:
            tasks[running.enter_context(peer).name] = peer.seconds
        report(take_turns(tasks, TURNS, rehearsals=0), "ranef")
        if peer:
            print(f"  {peer.name}: {peer.fit().estimates}")
    print(f"  smallest bulk ESS {spread(np.array(ours.least_ess()))}; ms of a fit: {ours.phases()}")


def main(sizes: tuple[int, ...]) -> None:
    """Measure and print."""
    conditions()
    for teachers in sizes:
        compare(teachers)


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or TEACHERS)
