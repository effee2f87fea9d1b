"""A fit by NUTS: the full model, one compiled chunk of transitions per shape, chains side by side.

Chains are a sequence of calls of the same executable, so compilation happens once and a cancel is heard between calls.
"""

import os
import threading
import time
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
from model.errors import InvalidModel, Issue
from model.posterior import FactorPosterior, Posterior
from model.spec import FitPlan
from worker.compiled import COMPILED
from worker.full_problem import FullProblem, full_problem
from worker.monitor import Cancelled, Monitor
from worker.programs import walk as program

Phase = Callable[[str], AbstractContextManager[None]]

SIDE_BY_SIDE = 4
"""Chains of one call: side by side they share the cost of every operation, but wait for the longest trajectory."""
_SECONDS = 0.4
"""How long a call may take: about what a progress bar or a cancel may wait."""

Draws = dict[str, Float]


def fit(plan: FitPlan, design: Design, monitor: Monitor, phase: Phase) -> Posterior:
    """Sample the posterior of a plan by NUTS; raises Cancelled when the monitor says so, and InvalidModel
    (`sampling-failed`) where the density of the model has no number."""
    chains = plan.sampler.chains
    side = min(chains, SIDE_BY_SIDE)
    with phase("prepare"):
        problem = full_problem(plan, design, side)
    monitor.report("compiling", 0.0)
    with phase("sample"):
        walk = _Walk(plan, problem, monitor)
        walk.compile()
        starts = range(0, chains, side)
        with ThreadPoolExecutor(min(len(starts), os.cpu_count() or 1)) as pool:
            parts = list(pool.map(walk.chains, starts))
    draws, statistics = (
        {name: np.concatenate([part[which][name] for part in parts])[:chains] for name in parts[0][which]}
        for which in (0, 1)
    )
    if not all(np.isfinite(values).all() for values in draws.values()):
        raise _no_numbers()
    return _posterior(plan, design, problem, draws, statistics)


@dataclass
class _Walk:
    """The chains of one fit, and what they report together."""

    plan: FitPlan
    problem: FullProblem
    monitor: Monitor
    initialize: Callable[..., Any] = field(init=False)
    """The executable that starts chains."""
    advance: Callable[..., Any] = field(init=False)
    """The executable that moves them."""
    done: int = 0
    divergences: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def chains(self, first: int) -> tuple[Draws, Draws]:
        """Draws (chain, draw, ...) and statistics (chain, draw) of the chains from a number on, without warm-up."""
        sampler, settings, data = self.plan.sampler, self._settings, self.problem.data
        state = self.initialize(*self._start(first), settings, data)
        if not np.isfinite(state.potential_energy).all():
            raise _no_numbers()
        kept: list[tuple[Draws, Draws]] = []
        total, at, count = sampler.warmup + sampler.draws, 0, 1
        while at < total:
            if self.monitor.cancelled():
                raise Cancelled
            count = min(count, total - at)
            began = time.perf_counter()
            state, draws, statistics = self.advance(state, np.array(count), settings, data)
            part = slice(max(0, sampler.warmup - at), count)
            told = _by_chain(statistics, part)
            if part.start < part.stop:
                kept.append((_by_chain(draws, part), told))
            at += count
            self._report(min(count * self.problem.shape.chains, self._transitions), told["diverging"])
            pace = count / (time.perf_counter() - began)
            count = int(min(program.CHUNK, max(1, min(2 * count, _SECONDS * pace))))
        return tuple(  # type: ignore[return-value]
            {name: np.concatenate([piece[which][name] for piece in kept], axis=1) for name in kept[0][which]}
            for which in (0, 1)
        )

    def compile(self) -> None:
        """Find the executables of the shape, or compile them."""
        shape, settings, data = self.problem.shape, self._settings, self.problem.data
        first = (*self._start(0), settings, data)
        self.initialize = COMPILED.get((shape, "initialize"), partial(program.initialize, shape), *first)
        example = self.initialize(*first), np.array(1), settings, data
        self.advance = COMPILED.get((shape, "advance"), partial(program.advance, shape), *example)

    @property
    def _settings(self) -> dict[str, Any]:
        coordinates = self.problem.coordinates
        return {
            "target_accept": np.array(self.plan.sampler.target_accept),
            "variances": coordinates.variances,
            "learned": coordinates.learned,
            "streams": coordinates.streams,
        }

    @property
    def _transitions(self) -> int:
        sampler = self.plan.sampler
        return sampler.chains * (sampler.warmup + sampler.draws)

    def _start(self, first: int) -> tuple[Any, Float]:
        """Keys and starting points (chain, ...) of the chains from a number on."""
        numbers = range(first, first + self.problem.shape.chains)
        root = jax.random.PRNGKey(self.plan.seed)
        keys = np.stack([np.asarray(jax.random.fold_in(root, number)) for number in numbers])
        return keys, np.stack([self.problem.coordinates.start(self.plan.seed, number) for number in numbers])

    def _report(self, transitions: int, diverging: Float) -> None:
        sampler = self.plan.sampler
        with self._lock:
            self.done = min(self.done + transitions, self._transitions)
            self.divergences += int(diverging.sum())
            drawn = max(0, self.done - sampler.chains * sampler.warmup)
            phase = "sampling" if drawn else "warmup"
            self.monitor.report(phase, self.done / self._transitions, drawn, self.divergences)


def _by_chain(values: dict[str, Any], part: slice) -> Draws:
    """The used part of a chunk, (chain, draw, ...) from (draw, chain, ...)."""
    return {name: np.swapaxes(np.asarray(array)[part], 0, 1) for name, array in values.items()}


def _no_numbers() -> InvalidModel:
    message = (
        "The posterior density has no finite value where the sampler went: the scales of the data, of the"
        " predictors and of the priors do not fit together."
    )
    return InvalidModel(Issue("sampling-failed", message))


def _posterior(
    plan: FitPlan, design: Design, problem: FullProblem, draws: Draws, statistics: Draws
) -> Posterior:
    """Read the draws in the user's units, columns and levels."""
    p = design.x.shape[1]
    population = draws["population"][:, :, :p]
    if plan.center and design.intercept:
        population = population.copy()
        population[:, :, 0] -= population[:, :, 1:] @ design.x[:, 1:].mean(axis=0)
    factors = {}
    for f, factor in enumerate(design.factors):
        number = problem.order.index(f)
        back = np.argsort([i for block in factor.blocks for i in block])
        u = draws[f"{number}/u"][:, :, : len(factor.levels)][:, :, :, back]
        root = draws[f"{number}/root"][:, :, back][:, :, :, back]
        moment = factor.z.T @ factor.z / design.rows
        factors[factor.name] = FactorPosterior(
            draws[f"{number}/sd"][:, :, back], root, moment, StoredEffects(u)
        )
    names = plan.family.parameters if problem.shape.scalars else ()
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
        statistics=_statistics(plan, statistics),
    )


def _statistics(plan: FitPlan, statistics: Draws) -> dict[str, float | int | None]:
    energy, steps = statistics["energy"], statistics["steps"]
    spread = energy.var(axis=1, ddof=1) if energy.shape[1] > 1 else np.zeros(len(energy))
    moved = (np.diff(energy) ** 2).mean(axis=1) if energy.shape[1] > 1 else spread
    known = bool(np.all(spread > 0) and np.isfinite(energy).all())
    return {
        "acceptance": float(statistics["accept"].mean()),
        "divergences": int(statistics["diverging"].sum()),
        "max_tree_depth_hits": int((steps >= 2**plan.sampler.max_tree_depth - 1).sum()),
        "e_bfmi_min": float((moved / spread).min()) if known else None,
        "leapfrog_steps": int(steps.sum()),
    }
