"""From a plan's arrays to those of the full model's program: padded sizes, priors as numbers, a place to start.

Padded rows have weight zero, padded levels belong to no row, padded columns are zero and have a normal prior of their
own.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from model.design import Design, FactorDesign, Float
from model.distributions import Distribution, Kind
from model.moments import Coordinates, standardize
from model.spec import FitPlan
from model.streams import stream
from worker.programs.hyper import Scalar, Scalars
from worker.shape import FactorShape, FullShape, bucket, level_bucket

_ROWS_FOR_CENTERING = 10
"""Rows per level from which the data say more of a level's deviation than its distribution does."""


@dataclass(frozen=True)
class FullProblem:
    """A full model ready for its program."""

    shape: FullShape
    data: dict[str, Any]
    seed: int
    scalars: tuple[Float, ...]
    """Where the sds of each factor, and last the family's own parameters, start from, on the real line."""

    def start(self, chain: int) -> dict[str, Any]:
        """A starting point of its own for each chain: the pooled fit, jittered."""
        source = stream(self.seed, "nuts start", chain)

        def jittered(values: Float) -> Float:
            return values + source.uniform(-0.5, 0.5, len(values))

        start: dict[str, Any] = {"coefficients": jittered(np.zeros(self.shape.columns))}
        for number, factor in enumerate(self.shape.factors):
            k = factor.coefficients
            start[f"{number}/sd_real"] = jittered(self.scalars[number])
            for block, size in enumerate(factor.blocks):
                if size > 1:
                    start[f"{number}/root{block}"] = np.zeros(size * (size - 1) // 2)
            start[f"{number}/{'u_centered' if factor.centered else 'white'}"] = np.zeros((factor.levels, k))
        if self.shape.scalars:
            start["parameters_real"] = jittered(self.scalars[-1])
        return start


def full_problem(plan: FitPlan, design: Design) -> FullProblem:
    """Pad a design to the shape of a program, with every prior as numbers."""
    assert design.y is not None
    at = standardize(design).coordinates
    rows, p = bucket(design.rows), design.x.shape[1]
    columns = bucket(p)
    x = np.zeros((rows, columns))
    x[: design.rows, :p] = design.x
    if plan.center and design.intercept:
        x[: design.rows, 1:p] -= design.x[:, 1:].mean(axis=0)
    coefficients, to_prior = _coefficients(plan, design, at, columns)
    sds = [_sds(plan, factor, at.scale / at.z_scales[i]) for i, factor in enumerate(design.factors)]
    parameters, parameter_start = _parameters(plan, design, at)
    shape = FullShape(
        family=plan.family.name,
        link=plan.family.link,
        rows=rows,
        columns=columns,
        factors=tuple(_factor_shape(factor, design.rows) for factor in design.factors),
        scalars=len(parameter_start),
        warmup=plan.sampler.warmup,
        max_tree_depth=plan.sampler.max_tree_depth,
    )
    weight = np.ones(design.rows) if design.weights is None else design.weights
    error = np.ones(design.rows) if design.standard_error is None else design.standard_error
    data = {
        "x": x,
        "y": _padded(design.y, rows),
        "offset": _padded(design.offset, rows),
        "weight": _padded(weight, rows),
        "standard_error": _padded(error, rows, 1.0),
        "coefficients": coefficients.as_dict(),
        "to_prior": to_prior,
        "parameters": parameters.as_dict(),
        "factors": [
            _factor_data(plan, factor, factor_shape, sd, rows)
            for factor, factor_shape, (sd, _) in zip(design.factors, shape.factors, sds, strict=True)
        ],
    }
    return FullProblem(shape, data, plan.seed, (*(start for _, start in sds), parameter_start))


def _coefficients(plan: FitPlan, design: Design, at: Coordinates, columns: int) -> tuple[Scalars, Float]:
    """Priors of the coefficients, and the matrix that takes what is sampled to what they are priors of.

    Where all are unbounded, standardized coefficients are sampled; a bounded one must be sampled by itself.
    """
    names = design.coefficients
    priors = [plan.prior("Intercept")] if design.intercept else []
    priors += [plan.prior("b", name) for name in names[int(design.intercept) :]]
    matrix = at.to_centered if plan.center else at.to_raw
    center, p = matrix @ at.ols, len(names)
    padding = [Scalar(Distribution(Kind.NORMAL, (0.0, 1.0)), (-np.inf, np.inf))] * (columns - p)
    unbounded = all(row.bounds == (-np.inf, np.inf) for row in priors)
    units = np.ones(p) if unbounded else at.scale / at.scales
    rows = [Scalar(row.distribution, row.bounds, units[i], center[i]) for i, row in enumerate(priors)]
    to_prior = np.eye(columns)
    if unbounded:
        to_prior[:p, :p] = at.scale * matrix
    return Scalars.of([*rows, *padding]), to_prior


def _sds(plan: FitPlan, factor: FactorDesign, units: Float) -> tuple[Scalars, Float]:
    rows = []
    for i in _block_order(factor):
        prior = plan.prior("sd", factor.coefficients[i], factor.name)
        rows.append(Scalar(prior.distribution, prior.bounds, units[i]))
    scalars = Scalars.of(rows)
    return scalars, scalars.inverse(0.5 * units[_block_order(factor)])


def _parameters(plan: FitPlan, design: Design, at: Coordinates) -> tuple[Scalars, Float]:
    if design.standard_error is not None:
        return Scalars.of([]), np.zeros(0)
    prior = plan.prior("sigma")
    scalars = Scalars.of([Scalar(prior.distribution, prior.bounds, at.scale)])
    return scalars, scalars.inverse(np.array([0.7 * at.scale]))


def _factor_shape(factor: FactorDesign, rows: int) -> FactorShape:
    blocks = tuple(len(block) for block in factor.blocks)
    return FactorShape(
        blocks, level_bucket(len(factor.levels)), rows / len(factor.levels) >= _ROWS_FOR_CENTERING
    )


def _factor_data(
    plan: FitPlan, factor: FactorDesign, shape: FactorShape, sd: Scalars, rows: int
) -> dict[str, Any]:
    order = _block_order(factor)
    z = np.zeros((rows, len(order)))
    z[: len(factor.z)] = factor.z[:, order]
    index = np.zeros(rows, dtype=np.int64)
    index[: len(factor.index)] = factor.index
    correlated = any(size > 1 for size in shape.blocks)
    eta = plan.prior("cor", None, factor.name).distribution.arguments[0] if correlated else 1.0
    return {"z": z, "index": index, "sd": sd.as_dict(), "lkj": np.array(eta)}


def _block_order(factor: FactorDesign) -> list[int]:
    return [i for block in factor.blocks for i in block]


def _padded(values: Float, size: int, filler: float = 0.0) -> Float:
    return np.concatenate([values, np.full(size - len(values), filler)])
