"""A fit by the collapsed method: sums, one compiled density, the independence sampler, and the posterior they give."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from model.design import Design, Float
from model.effects import CollapsedEffects
from model.posterior import FactorPosterior, Posterior
from model.spec import FitPlan
from worker.compiled import COMPILED
from worker.monitor import Cancelled, Monitor
from worker.padding import CollapsedProblem
from worker.programs import collapsed as program
from worker.samplers import independence
from worker.shape import CollapsedShape


@dataclass(frozen=True, slots=True)
class CollapsedPrograms:
    """The two executables of a shape."""

    evaluate: Callable[..., Any]
    parameters: Callable[..., Any]


def programs(shape: CollapsedShape, data: program.Data) -> CollapsedPrograms:
    """Find the executables of a shape, or compile them for data of that shape."""
    theta, noise = np.zeros((program.BATCH, shape.dimension)), np.zeros((program.BATCH, shape.columns))
    return CollapsedPrograms(
        COMPILED.get((shape, "evaluate"), partial(program.evaluate, shape), theta, noise, np.array(1), data),
        COMPILED.get((shape, "parameters"), partial(program.parameters, shape), theta, data),
    )


def sample(
    problem: CollapsedProblem, compiled: CollapsedPrograms, plan: FitPlan, monitor: Monitor
) -> independence.Chains:
    """Walk the hyperparameters; raises Cancelled as soon as the monitor says so, between two calls of the program."""
    shape, total = problem.shape, plan.sampler.chains * plan.sampler.draws
    done = 0

    def density(points: Float, noise: Float) -> tuple[Float, Float]:
        nonlocal done
        values, carried = np.empty(len(points)), np.empty(noise.shape)
        for start in range(0, len(points), program.BATCH):
            if monitor.cancelled():
                raise Cancelled
            part = slice(start, start + program.BATCH)
            count = len(points[part])
            theta, normal = _batch(problem, points[part]), np.zeros((program.BATCH, shape.columns))
            normal[:count, : noise.shape[1]] = noise[part]
            log_density, coefficients = compiled.evaluate(theta, normal, np.array(count), problem.data)
            values[part] = np.asarray(log_density)[:count]
            carried[part] = np.asarray(coefficients)[:count, : noise.shape[1]]
            done += count
            monitor.report("sampling", min(1.0, done / (1.6 * total)), min(done, total))
        return values, carried

    start, lower, upper = (array[problem.active] for array in (problem.start, problem.lower, problem.upper))
    return independence.sample(
        density,
        start,
        (lower, upper),
        len(problem.integrated),
        plan.sampler.chains,
        plan.sampler.draws,
        plan.seed,
    )


def posterior(
    problem: CollapsedProblem,
    compiled: CollapsedPrograms,
    chains: independence.Chains,
    plan: FitPlan,
    design: Design,
) -> Posterior:
    """Read the chains in the user's units."""
    shape, at = problem.shape, problem.coordinates
    scalars, root = _values(problem, compiled, chains.theta)
    k = shape.coefficients
    population = _population(problem, chains.carried, scalars[:, :, k + 1 + shape.mixed :], design)
    factors = {}
    for number, factor in enumerate(design.factors):
        back = np.argsort([i for block in factor.blocks for i in block])
        effects = CollapsedEffects(
            factor.name,
            factor.levels,
            problem.moments.a,
            problem.moments.b,
            coordinates=at,
            z_scale=at.z_scales[number],
            seed=plan.seed,
        )
        moment = factor.z.T @ factor.z / design.rows
        factors[factor.name] = FactorPosterior(
            scalars[:, :, :k][:, :, back], root[:, :, back][:, :, :, back], moment, effects
        )
    known_error = design.standard_error is not None
    return Posterior(
        encoding=plan.encoding,
        family=plan.family,
        method="collapsed",
        seed=plan.seed,
        population=population,
        parameters={} if known_error else {"sigma": scalars[:, :, k]},
        factors=factors,
        x_mean=design.x.mean(axis=0),
        x_covariance=np.cov(design.x, rowvar=False, bias=True).reshape(design.x.shape[1], design.x.shape[1]),
        statistics={
            "acceptance": chains.acceptance,
            "pareto_k": chains.pareto_k,
            "divergences": 0,
            "evaluations": chains.evaluations,
            "log_marginal_likelihood": _evidence(problem, chains),
        },
    )


def _batch(problem: CollapsedProblem, points: Float) -> Float:
    """A full batch of hyperparameter vectors whose first rows have these points as their active part."""
    theta = np.tile(problem.start, (program.BATCH, 1))
    theta[: len(points), problem.active] = points
    return theta


def _values(problem: CollapsedProblem, compiled: CollapsedPrograms, theta: Float) -> tuple[Float, Float]:
    """Scalars (chain, draw, scalar) and roots of the correlation matrices (chain, draw, coef, coef) at each draw."""
    chains, draws, dim = theta.shape
    points = theta.reshape(-1, dim)
    parts = []
    for start in range(0, len(points), program.BATCH):
        batch = points[start : start + program.BATCH]
        answer = compiled.parameters(_batch(problem, batch), problem.data)
        parts.append([np.asarray(array)[: len(batch)] for array in answer])
    scalars, root = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return scalars.reshape(chains, draws, -1), root.reshape(chains, draws, *root.shape[1:])


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
