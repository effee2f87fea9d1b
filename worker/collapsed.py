"""A fit by the collapsed method: sums, one compiled density, the independence sampler, and the posterior they
give."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any

import jax
import numpy as np

from model.errors import InvalidModel, Issue
from model.frame.design import Design, Float
from model.results.effects import CollapsedEffects, Effects, StoredEffects
from model.results.posterior import FactorPosterior, Posterior
from model.spec import FitPlan
from worker.compiled import COMPILED
from worker.monitor import Cancelled, Monitor
from worker.padding import CollapsedProblem
from worker.programs import collapsed as program
from worker.samplers import independence
from worker.shape import CollapsedShape

_CHEAP = 512
"""Elementwise operations of an evaluation that is over before its answer has been looked at."""
_PILOT_POINTS = 2200
"""About as many evaluations as the search for the mode and the rounds take."""
_THREADS = ThreadPoolExecutor(os.cpu_count(), "evaluate")


@dataclass(frozen=True, slots=True)
class CollapsedPrograms:
    """The two executables of a shape."""

    evaluate: Callable[..., Any]
    parameters: Callable[..., Any]


def programs(shape: CollapsedShape, data: program.Data) -> CollapsedPrograms:
    """Find the executables of a shape, or compile them for data of that shape."""
    theta, noise = np.zeros((program.BATCH, shape.dimension)), np.zeros((program.BATCH, shape.carried))
    evaluate = partial(program.evaluate, shape)
    return CollapsedPrograms(
        COMPILED.get((shape, "evaluate"), evaluate, theta, noise, np.array(1), data), _parameters(shape, data)
    )


def _parameters(shape: CollapsedShape, data: program.Data) -> Callable[..., Any]:
    theta = np.zeros((program.BATCH, shape.dimension))
    executable: Callable[..., Any] = COMPILED.get(
        (shape, "parameters"), partial(program.parameters, shape), theta, data
    )
    return executable


def sample(
    problem: CollapsedProblem, compiled: CollapsedPrograms, plan: FitPlan, monitor: Monitor
) -> independence.Chains:
    """Walk the hyperparameters; raises Cancelled as soon as the monitor says so, between two calls of the program."""
    shape, proposals = problem.shape, most_proposals_per_draw(problem.shape)
    total = plan.sampler.chains * plan.sampler.draws
    done, counting = 0, Lock()
    small = _size(shape) <= _CHEAP
    # Handed over once, not at each of some twenty calls.
    data = jax.device_put(problem.data)

    def density(points: Float, noise: Float) -> tuple[Float, Float]:
        nonlocal done
        values, carried = np.empty(len(points)), np.empty(noise.shape)

        def evaluate(start: int) -> None:
            nonlocal done
            if monitor.cancelled():
                raise Cancelled
            part = slice(start, min(start + program.BATCH, len(points)))
            count = part.stop - part.start
            theta, normal = _batch(problem, points[part]), np.zeros((program.BATCH, shape.carried))
            normal[:count, problem.carried] = noise[part]
            log_density, coefficients = compiled.evaluate(theta, normal, np.array(count), data)
            values[part] = np.asarray(log_density)[:count]
            carried[part] = np.asarray(coefficients)[:count][:, problem.carried]
            with counting:
                done += count
                fraction = min(1.0, done / (total * proposals + _PILOT_POINTS))
                monitor.report("sampling", fraction, int(fraction * total))

        starts = range(0, len(points), program.BATCH)
        # XLA spreads large arrays over the cores by itself; calls on small ones are spread here.
        for _ in _THREADS.map(evaluate, starts) if small and len(starts) > 1 else map(evaluate, starts):
            pass
        return values, carried

    if explains_all(
        lambda points: density(points, np.zeros((len(points), len(problem.carried))))[0], problem
    ):
        raise _perfect_fit()
    start, lower, upper = (array[problem.active] for array in (problem.start, problem.lower, problem.upper))
    return independence.sample(
        density,
        start,
        (lower, upper),
        len(problem.carried),
        plan.sampler.chains,
        plan.sampler.draws,
        plan.seed,
        proposals,
    )


_TOO_MUCH = 20.0
"""Log density that a vanishing residual sd may gain: where group-level effects can take its place it gains little."""


def explains_all(log_density: Callable[[Float], Float], problem: CollapsedProblem) -> bool:
    """Whether the density grows without end as sigma goes to zero."""
    if not problem.active[problem.shape.sds]:
        return False
    both = log_density(np.stack([problem.start, problem.without_residual])[:, problem.active])
    return not both[1] - both[0] < _TOO_MUCH and bool(np.isfinite(both[0]))


def _perfect_fit() -> InvalidModel:
    message = "The model explains the response exactly, or so nearly that no residual sd can be estimated."
    return InvalidModel(Issue("perfect-fit", message, "/formula"))


def most_proposals_per_draw(shape: CollapsedShape) -> int:
    """How many proposals a draw may be worth: more where an evaluation costs a microsecond than where it costs
    many."""
    size = _size(shape)
    return 4 if size <= _CHEAP else 2 if size <= 8 * _CHEAP else 1


def _size(shape: CollapsedShape) -> int:
    """Roughly the elementwise operations of an evaluation."""
    size = sum(factor.coefficients**2 * factor.levels for factor in shape.factors) + shape.columns**2
    if shape.dense:
        size += shape.dense * (shape.dense + shape.factors[0].width)
    return size


def posterior(
    problem: CollapsedProblem,
    chains: independence.Chains,
    dense: Float,
    plan: FitPlan,
    design: Design,
    statistics: Mapping[str, float | int | None],
) -> Posterior:
    """Read the chains in the user's units; `dense` (chain, draw, ...) are internal deviations of all factors but the
    first."""
    shape = problem.shape
    scalars, roots = _values(problem, chains.theta)
    sds = shape.sds
    count = len(problem.integrated)
    kept = scalars[:, :, sds + 1 + shape.mixed :]
    factors = _factors(problem, plan, scalars[:, :, :sds], roots, dense)
    known_error = design.standard_error is not None
    return Posterior(
        encoding=plan.encoding,
        family=plan.family,
        method="collapsed",
        seed=plan.seed,
        population=_population(problem, chains.carried[:, :, :count], kept, design),
        parameters={} if known_error else {"sigma": scalars[:, :, sds]},
        factors={factor.name: factors[factor.name] for factor in design.factors},
        x_mean=design.x.mean(axis=0),
        x_covariance=np.cov(design.x, rowvar=False, bias=True).reshape(design.x.shape[1], design.x.shape[1]),
        statistics={
            "acceptance": chains.acceptance,
            "pareto_k": chains.pareto_k,
            "divergences": 0,
            "evaluations": chains.evaluations,
            "log_marginal_likelihood": _evidence(problem, chains),
            **statistics,
        },
    )


def _factors(
    problem: CollapsedProblem, plan: FitPlan, sds: Float, roots: list[Float], dense: Float
) -> dict[str, FactorPosterior]:
    """Each factor's posterior; `dense` (chain, draw, ...) are the internal deviations of all but the first."""
    at = problem.coordinates
    z_scales = dict(zip((f.name for f in plan.encoding.factors), at.z_scales, strict=True))
    found: dict[str, FactorPosterior] = {}
    sd_start = level_start = 0
    for number, factor in enumerate(problem.factors):
        k, levels = len(factor.coefficients), len(factor.levels)
        back = np.argsort([i for block in factor.blocks for i in block])
        own = slice(sd_start, sd_start + k)
        sd_start += k
        effects: Effects
        if number == 0:
            others = tuple(z_scales[f.name] for f in problem.factors[1:])
            moments = problem.moments
            effects = CollapsedEffects(
                factor.name,
                factor.levels,
                moments.a,
                moments.b,
                coordinates=at,
                z_scale=z_scales[factor.name],
                other_scales=others,
                seed=plan.seed,
            )
        else:
            internal = dense[:, :, level_start : level_start + k * levels].reshape(
                *dense.shape[:2], k, levels
            )
            level_start += k * levels
            values = np.swapaxes(internal[:, :, back], -1, -2) * (at.scale / z_scales[factor.name])
            effects = StoredEffects(np.ascontiguousarray(values))
        moment = factor.z.T @ factor.z / len(factor.index)
        root = roots[number][:, :, back][:, :, :, back]
        found[factor.name] = FactorPosterior(sds[:, :, own][:, :, back], root, moment, effects)
    return found


def _batch(problem: CollapsedProblem, points: Float) -> Float:
    """A full batch of hyperparameter vectors whose first rows have these points as their active part."""
    theta = np.tile(problem.start, (program.BATCH, 1))
    theta[: len(points), problem.active] = points
    return theta


def _values(problem: CollapsedProblem, theta: Float) -> tuple[Float, list[Float]]:
    """Scalars (chain, draw, scalar), and of each factor (chain, draw, coef, coef) the root of its correlation
    matrix."""
    chains, draws, dim = theta.shape
    points = theta.reshape(-1, dim)
    parameters = _parameters(problem.shape, problem.data)
    data = jax.device_put(problem.data)
    batches = [points[start : start + program.BATCH] for start in range(0, len(points), program.BATCH)]
    running = [parameters(_batch(problem, batch), data) for batch in batches]
    parts = [
        [np.asarray(array)[: len(batch)] for array in (scalars, *roots)]
        for batch, (scalars, roots) in zip(batches, running, strict=True)
    ]
    scalars, *roots = (
        np.concatenate(arrays).reshape(chains, draws, *arrays[0].shape[1:])
        for arrays in zip(*parts, strict=True)
    )
    return scalars, roots


def _population(problem: CollapsedProblem, integrated: Float, kept: Float, design: Design) -> Float:
    """Coefficients of the raw columns (chain, draw, coef) from the internal ones that were drawn and those that were
    kept."""
    at = problem.coordinates
    standardized = np.empty((*integrated.shape[:2], design.x.shape[1]))
    columns = list(problem.integrated)
    others = [i for i in range(design.x.shape[1]) if i not in columns]
    standardized[:, :, columns] = at.ols[columns] + at.scale * integrated
    standardized[:, :, others] = kept[:, :, : len(others)] * at.scales[others]
    return standardized @ at.to_raw.T


def _evidence(problem: CollapsedProblem, chains: independence.Chains) -> float | None:
    value = chains.log_evidence + problem.log_evidence_offset
    return value if problem.proper and np.isfinite(value) else None
