"""From a plan's arrays to those of the full model's program: padded sizes, priors as numbers, a place to start.

Padded rows have weight zero, padded levels belong to no row, padded columns are zero and their coefficients constant.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jax import Array
from numpy.typing import NDArray

from model.centering import covariates_centered, least_sizes, prior_row
from model.distributions import Distribution, Kind
from model.frame.design import Design, FactorDesign, Float
from model.moments import NOISE
from model.priors import ResolvedPrior
from model.spec import FitPlan
from worker.coordinates import Coordinates
from worker.padded_priors import fixed_sds, users_sds_data
from worker.padded_sums import block_order
from worker.penalized import PenalizedFit, penalized_fit
from worker.programs import full as program
from worker.programs.hyper import Scalar, Scalars, lkj_constants
from worker.rows import Rows
from worker.shape import FullShape, GroupShape, bucket

_ROUND = 300
"""Transitions of a round of warm-up: enough where the start is good, as a penalized fit mostly is."""


@dataclass(frozen=True)
class FullProblem:
    """A full model ready for its program."""

    shape: FullShape
    data: dict[str, Any]
    coordinates: Coordinates
    order: tuple[int, ...]
    """The design's factors in the program's order."""
    maps: tuple[Float, ...]
    """Of each of the design's factors the matrix (coef, coef) from centered deviations to the user's."""

    def log_density(self, vector: Array, data: Any) -> tuple[Array, dict[str, Array]]:
        """Log density at one vector (coordinate,), and the parameters there by name."""
        return program.log_density(self.shape, program.position(self.shape, vector), data)

    def start(self, seed: int, chain: int) -> Float:
        """A starting point of its own for each chain."""
        return self.coordinates.start(seed, chain)


def full_problem(plan: FitPlan, design: Design, chains: int) -> FullProblem:
    """Pad a design to the shape of a program, with every prior as numbers; `chains` move side by side."""
    rows, maps = _centered(plan, design, Rows.of(plan.family, design))
    order = tuple(sorted(range(len(rows.levels)), key=lambda number: rows.levels[number]))
    p, size = design.x.shape[1], bucket(len(rows.y))
    columns = bucket(p)
    means, scales = _column_units(design, plan.center)
    fitted = penalized_fit(plan.family, rows, (rows.x - means) / scales)
    x = np.zeros((columns, size))
    x[:p, : len(rows.y)] = (rows.x - (means if plan.center else 0.0)).T
    coefficients, to_prior = _coefficients(plan, design, fitted, means, scales, columns)
    parameters = [_scalar(plan.prior(name), value) for name, value in fitted.parameters.items()]
    sds = [_sds(plan, design.factors[f], fitted.sds[f], maps[f]) for f in order]
    scalars = Scalars.of([*coefficients, *parameters, *(row for of in sds for row in of)])
    factors = tuple(
        GroupShape(tuple(len(block) for block in design.factors[f].blocks), bucket(rows.levels[f]))
        for f in order
    )
    shape = FullShape(
        family=plan.family.name,
        link=plan.family.link,
        rows=size,
        columns=columns,
        factors=factors,
        scalars=len(fitted.parameters),
        chains=chains,
        warmup=min(plan.sampler.warmup, _ROUND),
        max_tree_depth=plan.sampler.max_tree_depth,
    )
    error = np.ones(len(rows.y)) if rows.standard_error is None else rows.standard_error
    data: dict[str, Any] = {
        "x": x,
        "y": _padded(rows.y, size),
        "trials": _padded(rows.trials, size),
        "offset": _padded(rows.offset, size),
        "weight": _padded(rows.weight, size),
        "standard_error": _padded(error, size, 1.0),
        "log_base": np.array(rows.log_base),
        "scalars": scalars.as_dict(),
        "to_prior": to_prior,
        "factors": [],
    }
    guess = [row.location for row in coefficients] + [row.unit for of in (parameters, *sds) for row in of]
    start, active = scalars.inverse(np.array(guess)), scalars.active
    count = float(rows.weight.sum())
    spread = [np.full(len(parameters), 1.0 / (1.0 + 0.5 * count))]
    # Where their matrix is not the identity they are sampled around zero.
    identity = np.array_equal(to_prior, np.eye(columns))
    center = {"coefficients": start[:columns] if identity else np.zeros(columns), "real": start[columns:]}
    variances = {"coefficients": np.ones(columns)}
    moves = {"coefficients": active[:columns], "real": active[columns:]}
    for number, (f, factor_shape) in enumerate(zip(order, factors, strict=True)):
        factor, k, levels = design.factors[f], factor_shape.coefficients, factor_shape.levels
        of = _conditional(rows, fitted, order[number:], x, factor_shape, block_order(factor))
        users = users_sds_data(plan, factor, maps[f])
        data["factors"].append({**of, "lkj": _lkj(plan, factor, factor_shape), "users_sds": users})
        doubt = 1.0 / (1.0 + 0.5 * rows.levels[f])
        spread.append(np.full(k, 4.0 * doubt))
        partial, white = f"{number}/partial", f"{number}/white"
        center |= {partial: np.zeros(factor_shape.correlations), white: np.zeros((k, levels))}
        variances |= {partial: np.full(factor_shape.correlations, 2.0 * doubt), white: np.ones((k, levels))}
        moves[white] = np.broadcast_to(np.arange(levels) < rows.levels[f], (k, levels))
    variances["real"] = np.concatenate(spread)
    return FullProblem(shape, data, Coordinates.of(shape, center, variances, moves), order, maps)


def _centered(plan: FitPlan, design: Design, rows: Rows) -> tuple[Rows, tuple[Float, ...]]:
    """The rows with centered covariates of each factor, and the maps of `FullProblem`."""
    parts = [
        covariates_centered(replace(factor, z=z, index=index), fixed_sds(plan, factor))
        for factor, z, index in zip(design.factors, rows.z, rows.index, strict=True)
    ]
    return replace(rows, z=tuple(z for z, _ in parts)), tuple(matrix for _, matrix in parts)


def _column_units(design: Design, center: bool) -> tuple[Float, Float]:
    """Means (zero for an intercept, and where the prior is on the raw one) and sizes of X's columns."""
    means = np.zeros(design.x.shape[1])
    if design.intercept:
        means[1:] = design.x[:, 1:].mean(axis=0)
    scales = np.sqrt(np.mean((design.x - means) ** 2, axis=0))
    # What rounding leaves of the spread of a constant column is none.
    varies = scales > NOISE * np.abs(design.x).max(axis=0, initial=0.0)
    return means, np.where(varies, scales, 1.0)


def _coefficients(
    plan: FitPlan, design: Design, fitted: PenalizedFit, means: Float, scales: Float, columns: int
) -> tuple[list[Scalar], Float]:
    """Priors of the coefficients, and the matrix that takes what is sampled to what they are priors of.

    Where all are unbounded, about independent standard coefficients are sampled; a bounded one must be sampled by
    itself.
    """
    names = design.coefficients
    priors = [plan.prior("Intercept")] if design.intercept else []
    priors += [plan.prior("b", name) for name in names[int(design.intercept) :]]
    matrix = np.diag(1.0 / scales)
    if design.intercept and not plan.center:
        matrix[0, 1:] = -means[1:] / scales[1:]
    location, root, p = matrix @ fitted.population, matrix @ fitted.population_root, len(names)
    unbounded = all(row.bounds == (-np.inf, np.inf) for row in priors)
    units = np.ones(p) if unbounded else np.sqrt(np.sum(root**2, axis=1))
    padding = [Scalar(Distribution(Kind.CONSTANT, (0.0,)), (-np.inf, np.inf))] * (columns - p)
    to_prior = np.eye(columns)
    if unbounded:
        to_prior[:p, :p] = root
    rows = [Scalar(row.distribution, row.bounds, units[i], location[i]) for i, row in enumerate(priors)]
    return [*rows, *padding], to_prior


def _sds(plan: FitPlan, factor: FactorDesign, guess: Float, matrix: Float) -> list[Scalar]:
    order, others = block_order(factor), prior_row(matrix)
    priors = [plan.prior("sd", name, factor.name) for name in factor.coefficients]
    ends = np.array([prior.bounds[1] for prior in priors])
    if np.any(others & (np.sqrt(matrix**2 @ guess**2) > 0.3 * ends)):
        # A prior with an end leaves no room for slopes of that size: begin where they hardly matter to the intercept.
        guess = least_sizes(np.minimum(guess, 0.2 * ends), matrix)
    return [replace(_scalar(priors[i], guess[i]), walked=(0.0, np.inf) if others[i] else None) for i in order]


def _scalar(prior: ResolvedPrior, guess: float) -> Scalar:
    """A positive parameter of about this size."""
    return Scalar(prior.distribution, prior.bounds, guess)


def _lkj(plan: FitPlan, factor: FactorDesign, shape: GroupShape) -> Float:
    if not shape.correlations:
        return lkj_constants(1.0, shape.blocks)
    return lkj_constants(plan.prior("cor", None, factor.name).distribution.arguments[0], shape.blocks)


def _conditional(
    rows: Rows,
    fitted: PenalizedFit,
    order: tuple[int, ...],
    x: Float,
    shape: GroupShape,
    columns: list[int],
) -> dict[str, Any]:
    """What a level's deviations are, given the population and the factors before theirs, under the working response.

    The factors after it (`order` begins with its own) are integrated out roughly: what the rows of a cell say together
    is less by the variance that those factors add to it.
    """
    f, count, k = order[0], len(rows.y), shape.coefficients
    index, z = rows.index[f], rows.z[f][:, columns]
    variance = np.zeros(count)
    for later in order[1:]:
        added = fitted.weight * np.sum((rows.z[later] * fitted.sds[later]) ** 2, axis=1)
        cell = np.unique(index * rows.levels[later] + rows.index[later], return_inverse=True)[1].ravel()
        variance += np.bincount(cell, added)[cell] * fitted.precision
    weight = fitted.weight / (1.0 + variance)
    weighted = weight[:, None] * z

    def by_level(values: Float) -> Float:
        return np.asarray(np.bincount(index, values, minlength=shape.levels))

    information = np.empty((k, k, shape.levels))
    for i in range(k):
        for j in range(k):
            information[i, j] = by_level(weighted[:, i] * z[:, j])
    response = fitted.response - rows.offset
    score = np.stack([by_level(weighted[:, i] * response) for i in range(k)])
    projection = np.empty((k, shape.levels, len(x)))
    for i in range(k):
        for j in range(len(x)):
            projection[i, :, j] = by_level(weighted[:, i] * x[j, :count])
    size = x.shape[1]
    return {
        "z": _padded_rows(z, size),
        "weighted_z": _padded_rows(weighted, size),
        "index": np.concatenate([index, np.zeros(size - count, dtype=np.int64)]),
        "information": information,
        "score": score,
        "projection": projection,
    }


def _padded(values: Float, size: int, filler: float = 0.0) -> Float:
    return np.concatenate([values, np.full(size - len(values), filler)])


def _padded_rows(values: Float, size: int) -> NDArray[np.float64]:
    """Values (row, coef) as (coef, row): what is next to each other in memory is computed together."""
    padded = np.zeros((values.shape[1], size))
    padded[:, : len(values)] = values.T
    return padded
