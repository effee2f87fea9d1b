"""Our own side of a comparison: from arrays to a summary in this process, through what the worker runs."""

import time
from dataclasses import dataclass, field

import numpy as np

from benchmarks.peers.process import Columns
from model.frame.table import Table
from model.priors import PriorStatement
from model.spec import FitSpec, Method, SamplerSettings, prepare
from store.allocation import keep_freed_memory
from store.threads import one_blas_thread
from worker.fitting import FitResult, fit
from worker.monitor import Saved


@dataclass(slots=True)
class Ours:
    """One model of one data set, fitted 4 x 1000 draws at a time, each time with another seed."""

    formula: str
    columns: Columns
    priors: tuple[PriorStatement, ...] = ()
    results: list[FitResult] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Treat memory and threads as a worker does."""
        keep_freed_memory(256 << 20, one_arena=False)
        one_blas_thread()

    def __call__(self) -> float:
        """Fit once and keep the result; seconds from the arrays to the summary."""
        sampler = SamplerSettings(method="collapsed", seed=len(self.results))
        start = time.perf_counter()
        plan = prepare(
            FitSpec(self.formula, Table.from_columns(self.columns), priors=self.priors, sampler=sampler)
        )
        result = fit(plan, Unheard())
        seconds = time.perf_counter() - start
        if result.method != "collapsed":
            raise RuntimeError(f"this benchmark is of the collapsed method, but: {result.method_reason}")
        self.results.append(result)
        return seconds

    def draws(self) -> float:
        """Fit once and keep the result; seconds from the arrays to the posterior's draws, their summary left out."""
        return self() - self.results[-1].timing["summarize"]

    def phases(self) -> str:
        """Milliseconds of each phase, medians over the fits; what `fit` does not time is the check of the request."""
        timings = [result.timing for result in self.results]
        medians = {name: float(np.median([timing[name] for timing in timings])) for name in timings[0]}
        return ", ".join(f"{name} {1e3 * value:.1f}" for name, value in medians.items())

    def least_ess(self) -> list[float]:
        """The smallest bulk ESS of each fit."""
        return [float(result.summary["diagnostics"]["ess_bulk_min"]) for result in self.results]


class Unheard:
    """The monitor of a fit that nobody waits for."""

    def report(self, phase: str, fraction: float | None = None, draws: int = 0, divergences: int = 0) -> None:
        """Nobody listens."""

    def expect(self, method: Method, seconds: float) -> None:
        """Nobody waits."""

    def cancelled(self) -> bool:
        """Nobody stops it."""
        return False

    def leaving(self) -> bool:
        """The process stays."""
        return False

    def defers(self) -> bool:
        """Nobody waits."""
        return False

    def save(self, progress: Saved) -> None:
        """Nothing is kept."""

    def saved(self) -> Saved | None:
        """Nothing was."""
        return None
