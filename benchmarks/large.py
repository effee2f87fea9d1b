"""A million rows and 20,000 levels of correlated intercepts and slopes: a whole posterior against point estimates.

Run it with `python -m benchmarks.large [TURNS]`; it prints times, their ratios and the most memory each process held.
"""

import os
import sys
from contextlib import ExitStack

import numpy as np

from benchmarks.peers.ours import Ours
from benchmarks.peers.process import Columns, lme4, mixedlm, peak_gib
from benchmarks.peers.turns import Task, conditions, report, spread, take_turns

FORMULA = "y ~ x + (1 + x | g)"
ROWS, LEVELS, TURNS = 1_000_000, 20_000, 3


def simulated(rows: int = ROWS, levels: int = LEVELS, seed: int = 1) -> Columns:
    """Rows spread at random over the levels; intercepts and slopes are correlated."""
    source = np.random.default_rng(seed)
    level, x = source.integers(0, levels, rows), source.normal(size=rows)
    deviation = source.normal(size=(levels, 2)) @ np.linalg.cholesky([[0.8, 0.3], [0.3, 0.5]]).T
    y = 1 + 0.5 * x + deviation[level, 0] + deviation[level, 1] * x + source.normal(size=rows)
    return {"y": y, "x": x, "g": level}


def main(turns: int) -> None:
    """Measure and print."""
    conditions()
    columns = simulated()
    print(f"{FORMULA}: {ROWS:,} rows, {LEVELS:,} levels, 4 x 1000 draws, default priors")
    ours = Ours(FORMULA, columns)
    print(f"  ranef, a first fit with compilation: {ours():.2f} s, ms: {ours.phases()}")
    print(f"  ranef: at most {peak_gib(os.getpid()):.2f} GiB, the data and the programs included")
    with ExitStack() as running:
        peers = [running.enter_context(p) for p in (mixedlm(FORMULA, columns), lme4(FORMULA, columns)) if p]
        tasks: dict[str, Task] = {"ranef": ours} | {peer.name: peer.seconds for peer in peers}
        report(take_turns(tasks, turns, rehearsals=0), "ranef")
        for peer in peers:
            print(f"  {peer.name}: at most {peer.peak_gib:.2f} GiB")
    print(f"  smallest bulk ESS {spread(np.array(ours.least_ess()))}; ms of a fit: {ours.phases()}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else TURNS)
