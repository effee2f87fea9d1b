"""What the checks of a fit cost: leave-one-out cross-validation and posterior predictive checks, by the number of rows.

Run it with `python -m benchmarks.checks`; it prints seconds, seconds of a processor, and the memory of all arrays.
"""

import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from model.criticism.loo import loo
from model.criticism.predictive import predictive_check
from model.frame.design import Design
from model.frame.table import Table
from model.results.posterior import Posterior
from model.spec import FitSpec, prepare
from service.settings import Limits
from tests.worker.silent import Silent
from worker.fitting import fit

SIZES = ((1_000, 50), (10_000, 500), (1_000_000, 20_000))


def fitted(rows: int, levels: int) -> tuple[Posterior, Design]:
    """A collapsed fit of 4,000 draws with random intercepts and slopes, and the design of its data."""
    rng = np.random.default_rng(1)
    group, x = rng.integers(0, levels, rows), rng.normal(size=rows)
    u = rng.normal(0, [1.0, 0.5], (levels, 2))
    y = 1 + 0.5 * x + u[group, 0] + u[group, 1] * x + rng.normal(0, 0.8, rows)
    labels = np.array([f"g{level}" for level in range(levels)])[group].tolist()
    plan = prepare(FitSpec("y ~ x + (1 + x | g)", Table.from_columns({"y": y, "x": x, "g": labels})))
    return fit(plan, Silent()).posterior, plan.design()


def measured(task: Callable[[], object]) -> str:
    """Time a task; a second run, which is slower for it, has its memory watched."""
    start, processor = time.perf_counter(), time.process_time()
    task()
    seconds, work = time.perf_counter() - start, time.process_time() - processor
    tracemalloc.start()
    task()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return f"{seconds:6.2f} s, {work:6.2f} s of a processor, {peak / 2**20:4.0f} MiB"


def main() -> None:
    """Measure and print."""
    for rows, levels in SIZES:
        report(rows, levels)


def report(rows: int, levels: int) -> None:
    """Measure both checks of one fit, as the service makes them by default."""
    limits, (posterior, design) = Limits(), fitted(rows, levels)
    count = min(1000, limits.prediction_draws // rows)
    print(f"{rows:,} rows, {levels:,} levels, {posterior.chains * posterior.draws:,} draws")
    left_out = measured(lambda: loo(posterior, design, limits.loo_rows))
    print(f"  loo, {min(rows, limits.loo_rows):,} rows left out: {left_out}")
    replicated = measured(lambda: predictive_check(posterior, design, replications=count))
    print(f"  {count:,} replicated data sets: {replicated}")


if __name__ == "__main__":
    main()
