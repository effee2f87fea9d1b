"""Data of sleepstudy's size: a whole posterior against lme4's point estimate, from arrays to a summary.

Run it with `python -m benchmarks.sleepstudy_like`; it prints times, their ratios and the effective draws.
"""

import csv
import os
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.peers.ours import Ours
from benchmarks.peers.process import Columns, lme4, mixedlm
from benchmarks.peers.turns import Task, Turns, conditions, in_a_row, report, spread, take_turns

FORMULA = "y ~ x + (1 + x | g)"
TURNS = 30
IN_A_ROW = 10
AND_SUMMARY = " and summary"
DRAWS = "ranef, draws"
SUMMARY = DRAWS + AND_SUMMARY


def simulated(seed: int = 1) -> Columns:
    """180 rows: 18 subjects on ten days, reaction times that rise by about ten a day."""
    source = np.random.default_rng(seed)
    subject, day = np.repeat(np.arange(18), 10), np.tile(np.arange(10.0), 18)
    deviation = source.normal(0, [25.0, 6.0], (18, 2))
    y = 251 + 10.5 * day + deviation[subject, 0] + deviation[subject, 1] * day + source.normal(0, 25.6, 180)
    return {"y": y, "x": day, "g": subject}


def real() -> Columns | None:
    """The data themselves, from the folder that REFERENCE_DIR names; None where it is not at hand."""
    path = Path(os.environ.get("REFERENCE_DIR", "")) / "sleepstudy" / "data.csv"
    if "REFERENCE_DIR" not in os.environ or not path.exists():
        print("sleepstudy itself: not here (REFERENCE_DIR names the folder of references)")
        return None
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = {name: np.array([float(row[name]) for row in rows]) for name in ("Reaction", "Days")}
    subject = np.array([int(row["Subject"]) for row in rows])
    return {"y": numbers["Reaction"], "x": numbers["Days"], "g": subject}


def compare(title: str, columns: Columns) -> None:
    """Fit in turn and print."""
    print(f"{title}: {FORMULA}, {len(columns['y'])} rows, 4 x 1000 draws, default priors")
    ours = Ours(FORMULA, columns)
    with ExitStack() as running:
        peers = [running.enter_context(p) for p in (lme4(FORMULA, columns), mixedlm(FORMULA, columns)) if p]
        print("  first fit of its process:", {peer.name: round(peer.seconds(), 4) for peer in peers})
        # No program's two tasks follow one another: the second would find its caches warm.
        tasks: dict[str, Task] = {DRAWS: ours.draws}
        tasks.update({peer.name: peer.seconds for peer in peers})
        tasks[SUMMARY] = ours
        for peer in peers:
            if peer.fit().summary_seconds is not None:
                tasks[peer.name + AND_SUMMARY] = peer.seconds_with_summary
        print(f" {IN_A_ROW} fits in a row, their median, in turn")
        several = {name: in_a_row(task, IN_A_ROW) for name, task in tasks.items()}
        _print(take_turns(several, TURNS))
        print(" single fits in turn: each finds the processor's caches full of the other's data")
        _print(take_turns(tasks, TURNS, rehearsals=3))
        print(f"  smallest bulk ESS {spread(np.array(ours.least_ess()))}; ms of a fit: {ours.phases()}")
        print("  estimates:", {peer.name: peer.fit().estimates for peer in peers})


def _print(turns: Turns) -> None:
    """Seconds, and how many times each peer's the draws and their summary take."""
    report(turns, DRAWS)
    for peer in (name for name in turns.seconds if name not in (DRAWS, SUMMARY)):
        for own in (DRAWS, SUMMARY):
            print(f"  {own}: {spread(turns.ratio(own, peer))} times {peer}")


def main() -> None:
    """Measure and print."""
    conditions()
    compare("simulated", simulated())
    columns = real()
    if columns is not None:
        compare("sleepstudy", columns)


if __name__ == "__main__":
    main()
