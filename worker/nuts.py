"""A fit by NUTS: the full model, one compiled chunk of transitions per shape, chains side by side.

Chains are a sequence of calls of the same executable, so compilation happens once and a cancel is heard between calls.
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import jax.numpy as jnp
import numpy as np

from model.centering import in_users_coordinates, users_deviations
from model.frame.design import Design, Float
from model.results.effects import StoredEffects
from model.results.posterior import FactorPosterior, Posterior
from model.spec import FitPlan
from worker.chains import Walk, no_numbers
from worker.full_problem import FullProblem, full_problem
from worker.monitor import Cancelled, HandedBack, Monitor
from worker.theta_problem import ThetaProblem

Phase = Callable[[str], AbstractContextManager[None]]

SIDE_BY_SIDE = 4
"""Chains of one call: side by side they share the cost of every operation, but wait for the longest trajectory."""

Draws = dict[str, Float]

_UNMOVED: Mapping[str, float | int | None] = {
    "acceptance": 1.0,
    "divergences": 0,
    "max_tree_depth_hits": 0,
    "e_bfmi_min": None,
    "leapfrog_steps": 0,
    "warmup": 0,
}
"""What is told of a sampler that had nothing to move."""


def fit(plan: FitPlan, design: Design, monitor: Monitor, phase: Phase) -> Posterior:
    """Sample the posterior of a plan by NUTS; stopped by the monitor it has fewer draws than the plan asks for.

    Raises Cancelled when it is stopped before every chain has a draw, HandedBack when the process is to leave, and
    InvalidModel (`sampling-failed`) where the density of the model has no number.
    """
    with phase("prepare"):
        problem = full_problem(plan, design, side_by_side(plan))
    if not np.any(problem.coordinates.streams >= 0):
        return _posterior(plan, design, problem, _repeated(problem, plan), _UNMOVED)
    with phase("sample"):
        draws, told = walk(problem, plan, monitor)
    return _posterior(plan, design, problem, draws, statistics(plan, told))


def _repeated(problem: FullProblem, plan: FitPlan) -> Draws:
    """The draws of a model all of whose parameters are constants: these, again and again.

    Raises InvalidModel (`sampling-failed`) where the density has no number at them.
    """
    log_density, named = problem.log_density(jnp.asarray(problem.coordinates.center), problem.data)
    if not np.isfinite(log_density):
        raise no_numbers()
    size = plan.sampler.chains, plan.sampler.draws
    values = {name: np.asarray(value) for name, value in named.items()}
    return {name: np.broadcast_to(value, (*size, *value.shape)).copy() for name, value in values.items()}


def side_by_side(plan: FitPlan) -> int:
    """How many chains of a plan one call moves."""
    return min(plan.sampler.chains, SIDE_BY_SIDE)


def walk(problem: FullProblem | ThetaProblem, plan: FitPlan, monitor: Monitor) -> tuple[Draws, Draws]:
    """Move all chains of a plan; gives draws and what the sampler says of them, by name, (chain, draw, ...).

    Stopped by the monitor it gives the draws that every chain has. Raises Cancelled where there is none, HandedBack
    when the process is to leave and what there is has been saved, and InvalidModel (`sampling-failed`) where the
    density has no number.
    """
    chains = plan.sampler.chains
    walked = Walk(plan, problem, monitor)
    walked.begin()
    with ThreadPoolExecutor(min(len(walked.places), os.cpu_count() or 1)) as pool:
        list(pool.map(walked.move, range(len(walked.places))))
    if monitor.leaving() and not monitor.cancelled() and not walked.complete:
        walked.save()
        raise HandedBack
    drawn = min(0 if place.adapting else place.at for place in walked.places)
    if not drawn:
        raise Cancelled
    draws, told = (
        {name: np.concatenate([part[name][:, :drawn] for part in parts])[:chains] for name in parts[0]}
        for parts in ([place.all(which) for place in walked.places] for which in (0, 1))
    )
    if not all(np.isfinite(values).all() for values in draws.values()):
        raise no_numbers()
    told["warmed"] = np.array([place.warmed for place in walked.places])
    return draws, told


def _posterior(
    plan: FitPlan, design: Design, problem: FullProblem, draws: Draws, told: Mapping[str, float | int | None]
) -> Posterior:
    """Read the draws in the user's units, columns and levels; `told` is what the posterior keeps of the sampler's."""
    p = design.x.shape[1]
    population = draws["population"][:, :, :p]
    if plan.center and design.intercept:
        population = population.copy()
        population[:, :, 0] -= population[:, :, 1:] @ design.x[:, 1:].mean(axis=0)
    factors = {}
    for f, factor in enumerate(design.factors):
        number = problem.order.index(f)
        back = np.argsort([i for block in factor.blocks for i in block])
        u = np.moveaxis(draws[f"{number}/u"][:, :, : len(factor.levels)][:, :, :, back], -1, 0)
        root = np.moveaxis(draws[f"{number}/root"][:, :, back][:, :, :, back], (2, 3), (0, 1))
        sd = np.moveaxis(draws[f"{number}/sd"][:, :, back], -1, 0)
        to_user = problem.maps[f]
        sd, root = in_users_coordinates(sd, root, to_user)
        factors[factor.name] = FactorPosterior(
            np.moveaxis(sd, 0, -1),
            np.moveaxis(root, (0, 1), (2, 3)),
            factor.z.T @ factor.z / design.rows,
            StoredEffects(np.moveaxis(users_deviations(u, to_user), 0, -1)),
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
        statistics=told,
    )


def statistics(plan: FitPlan, told: Draws) -> dict[str, float | int | None]:
    """What a posterior keeps of what the sampler says."""
    energy, steps = told["energy"], told["steps"]
    spread = energy.var(axis=1, ddof=1) if energy.shape[1] > 1 else np.zeros(len(energy))
    moved = (np.diff(energy) ** 2).mean(axis=1) if energy.shape[1] > 1 else spread
    known = bool(np.all(spread > 0) and np.isfinite(energy).all())
    return {
        "acceptance": float(told["accept"].mean()),
        "divergences": int(told["diverging"].sum()),
        "max_tree_depth_hits": int((steps >= 2**plan.sampler.max_tree_depth - 1).sum()),
        "e_bfmi_min": float((moved / spread).min()) if known else None,
        "leapfrog_steps": int(steps.sum()),
        "warmup": int(told["warmed"].max()),
    }
