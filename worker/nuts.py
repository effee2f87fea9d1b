"""A fit by NUTS: the full model, one compiled chunk of transitions per shape, chains side by side on the cores.

A chain is a sequence of calls of the same executable, so compilation happens once and a cancel is heard between calls.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import numpy as np

from model.design import Design, Float
from model.effects import StoredEffects
from model.posterior import FactorPosterior, Posterior
from model.spec import FitPlan
from worker.compiled import COMPILED
from worker.full_problem import FullProblem, full_problem
from worker.monitor import Cancelled, Monitor
from worker.programs import full as program

Phase = Callable[[str], AbstractContextManager[None]]


def fit(plan: FitPlan, design: Design, monitor: Monitor, phase: Phase) -> Posterior:
    """Sample the posterior of a plan by NUTS; raises Cancelled when the monitor says so."""
    with phase("prepare"):
        problem = full_problem(plan, design)
    monitor.report("compiling", 0.0)
    with phase("sample"):
        walk = _Walk(plan, problem, monitor)
        walk.programs()
        with ThreadPoolExecutor(min(plan.sampler.chains, os.cpu_count() or 1)) as pool:
            chains = list(pool.map(walk.chain, range(plan.sampler.chains)))
    draws = {name: np.stack([chain[0][name] for chain in chains]) for name in chains[0][0]}
    statistics = {name: np.stack([chain[1][name] for chain in chains]) for name in chains[0][1]}
    return _posterior(plan, design, problem, draws, statistics)


@dataclass
class _Walk:
    """The chains of one fit, and what they report together."""

    plan: FitPlan
    problem: FullProblem
    monitor: Monitor
    done: int = 0
    divergences: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def chain(self, number: int) -> tuple[dict[str, Float], dict[str, Float]]:
        """Draws (draw, ...) and statistics (draw,) of one chain, without its warm-up."""
        sampler, shape, data = self.plan.sampler, self.problem.shape, self.problem.data
        settings = {"target_accept": np.array(sampler.target_accept)}
        key = jax.random.fold_in(jax.random.PRNGKey(self.plan.seed), number)
        start = self.problem.start(number)
        first = COMPILED.get(
            (shape, "initialize"), partial(program.initialize, shape), key, start, settings, data
        )
        state = first(key, start, settings, data)
        advance = COMPILED.get((shape, "advance"), partial(program.advance, shape), state, settings, data)
        kept: list[tuple[Any, Any]] = []
        total = sampler.warmup + sampler.draws
        for begin in range(0, total, program.CHUNK):
            if self.monitor.cancelled():
                raise Cancelled
            state, draws, statistics = advance(state, self._settings, data)
            part = slice(max(0, sampler.warmup - begin), min(program.CHUNK, total - begin))
            statistics = {name: np.asarray(values)[part] for name, values in statistics.items()}
            if part.start < part.stop:
                kept.append(({name: np.asarray(values)[part] for name, values in draws.items()}, statistics))
            self._report(min(program.CHUNK, total - begin), int(statistics["diverging"].sum()))
        return tuple(
            {name: np.concatenate([piece[which][name] for piece in kept]) for name in kept[0][which]}
            for which in (0, 1)
        )  # type: ignore[return-value]

    def programs(self) -> tuple[Any, Any]:
        """The executables that start a chain and that move it, compiled at the first call."""
        shape, settings, data = self.problem.shape, self._settings, self.problem.data
        begin, first = partial(program.initialize, shape), (*self._first(0), settings, data)
        initialize = COMPILED.get((shape, "initialize"), begin, *first)
        state = jax.eval_shape(begin, *first)
        return initialize, COMPILED.get(
            (shape, "advance"), partial(program.advance, shape), state, settings, data
        )

    @property
    def _settings(self) -> dict[str, Any]:
        return {"target_accept": np.array(self.plan.sampler.target_accept)}

    def _first(self, number: int) -> tuple[Any, dict[str, Any]]:
        """Key and starting point of one chain."""
        key = jax.random.fold_in(jax.random.PRNGKey(self.plan.seed), number)
        return key, self.problem.start(number)

    def _report(self, transitions: int, divergences: int) -> None:
        sampler = self.plan.sampler
        with self._lock:
            self.done += transitions
            self.divergences += divergences
            fraction = self.done / (sampler.chains * (sampler.warmup + sampler.draws))
            warm = self.done - sampler.chains * sampler.warmup
            self.monitor.report(
                "sampling" if warm > 0 else "warmup", fraction, max(0, warm), self.divergences
            )


def _posterior(
    plan: FitPlan, design: Design, problem: FullProblem, draws: dict[str, Float], statistics: dict[str, Float]
) -> Posterior:
    """Read the draws in the user's units, columns and levels."""
    p = design.x.shape[1]
    population = draws["population"][:, :, :p]
    if plan.center and design.intercept:
        population = population.copy()
        population[:, :, 0] -= population[:, :, 1:] @ design.x[:, 1:].mean(axis=0)
    factors = {}
    for number, factor in enumerate(design.factors):
        back = np.argsort([i for block in factor.blocks for i in block])
        u = draws[f"{number}/u"][:, :, : len(factor.levels)][:, :, :, back]
        root = draws[f"{number}/root"][:, :, back][:, :, :, back]
        moment = factor.z.T @ factor.z / design.rows
        factors[factor.name] = FactorPosterior(
            draws[f"{number}/sd"][:, :, back], root, moment, StoredEffects(u)
        )
    names = plan.family.parameters if problem.shape.scalars else ()
    depth_limit = 2**plan.sampler.max_tree_depth - 1
    energy = statistics["energy"]
    spread = energy.var(axis=1, ddof=1) if energy.shape[1] > 1 else np.zeros(len(energy))
    return Posterior(
        encoding=plan.encoding,
        family=plan.family,
        method="nuts",
        seed=plan.seed,
        population=population,
        parameters={name: draws["parameters"][:, :, i] for i, name in enumerate(names)},
        factors=factors,
        x_mean=design.x.mean(axis=0),
        x_covariance=np.cov(design.x, rowvar=False, bias=True).reshape(p, p),
        statistics={
            "acceptance": float(statistics["accept"].mean()),
            "divergences": int(statistics["diverging"].sum()),
            "max_tree_depth_hits": int((statistics["steps"] >= depth_limit).sum()),
            "e_bfmi_min": float(((np.diff(energy) ** 2).mean(axis=1) / spread).min())
            if np.all(spread > 0)
            else None,
            "leapfrog_steps": int(statistics["steps"].sum()),
        },
    )
