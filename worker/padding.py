"""From a plan's arrays to a program's: sizes rounded up to buckets, with rows and columns that change no result.

A padded level has sums of zero; a padded column has none either, and a normal prior of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.distributions import Distribution, Kind
from model.frame.design import Design, FactorDesign, Float
from model.moments import Coordinates, Moments, accumulate, eliminated_factor, standardize
from model.priors import ResolvedPrior
from model.spec import FitPlan
from worker.programs.collapsed import lower_triangle
from worker.programs.hyper import Scalar, Scalars, lkj_constants
from worker.reduction import Crossed
from worker.shape import CollapsedShape, GroupShape, bucket, level_bucket

_NOTHING_LEFT = 1e-5
"""A residual sd, in units of the response's, below which the sums have too few digits to tell it from zero."""
_CONJUGATE = (Kind.FLAT, Kind.NORMAL, Kind.STUDENT_T, Kind.CAUCHY)


@dataclass(frozen=True)
class CollapsedProblem:
    """A collapsed model ready for its program, and what is needed to read the answer."""

    shape: CollapsedShape
    data: dict[str, Any]
    start: Float  # (hyper,)
    active: np.ndarray  # (hyper,) whether there is anything to sample
    lower: Float  # (hyper,)
    upper: Float  # (hyper,)
    coordinates: Coordinates
    moments: Moments
    factors: tuple[FactorDesign, ...]
    """The factors in the program's order: the one that is eliminated level by level first."""
    integrated: tuple[int, ...]
    """Numbers of X's columns whose coefficients are integrated out, in the program's order; the rest are kept."""
    order: list[int]
    """Numbers of X's columns in the program's order, integrated ones first."""
    places: list[int]
    """Where the program has those columns and, last, y."""
    carried: np.ndarray
    """Where the program has the coefficients that it draws: of the integrated columns, then of the dense factors."""
    wide: bool
    """Whether the other factors are eliminated on the host, and are unknown to the program."""
    proper: bool
    """Whether every prior integrates to one, so that the marginal likelihood means something."""
    log_evidence_offset: float
    """What turns the integral of the program's density into the marginal likelihood of y."""
    without_residual: Float  # (hyper,)
    """The start with a sigma of next to nothing: a density that is higher there has no mode."""

    def crossed(self) -> Crossed:
        """The sums of a wide problem, its columns in the program's order."""
        p = len(self.order)
        columns = [*self.order, p, *(p + 1 + _dense_columns(self.factors))]
        rows = _block_order(self.factors[0])
        a, b = self.moments.a[np.ix_(rows, rows)], self.moments.b[np.ix_(rows, columns)]
        sums = Moments(a, b, self.moments.s[np.ix_(columns, columns)])
        return Crossed(sums, p + 1, [len(factor.levels) for factor in self.factors[1:]])


MAX_PROGRAM_WIDTH = 64
"""Coefficients of all factors but the first that a compiled program takes; more are eliminated on the host."""


def is_wide(factors: Sequence[FactorDesign]) -> bool:
    """Whether the factors but the first (of `_in_order`) are eliminated on the host."""
    return sum(len(factor.levels) * len(factor.coefficients) for factor in factors[1:]) > MAX_PROGRAM_WIDTH


def collapsed_problem(plan: FitPlan, design: Design) -> CollapsedProblem:
    """Make the sums of a gaussian model and pad them to the shape of a program."""
    priors = _coefficient_priors(plan, design)
    integrated = tuple(i for i, row in enumerate(priors) if row.distribution.kind in _CONJUGATE)
    kept = tuple(i for i in range(len(priors)) if i not in integrated)
    # A kept coefficient must be one internal coordinate, so the raw intercept may not mix with it.
    standardized = standardize(design, center=plan.center or not kept)
    at = standardized.coordinates
    factors = _in_order(design.factors)
    mixed = tuple(i for i in integrated if priors[i].distribution.kind in (Kind.STUDENT_T, Kind.CAUCHY))
    moments = accumulate(standardized, design.factors)
    shape = CollapsedShape(
        columns=bucket(len(integrated)),
        kept=bucket(len(kept)),
        mixed=bucket(len(mixed)),
        factors=_group_shapes(factors, moments),
    )
    order = [*integrated, *kept]
    places = _places(shape, len(integrated), len(kept))
    wide = is_wide(factors)
    dense = np.zeros(0, dtype=int) if wide else shape.columns + _dense_places(shape, factors)
    data = {} if wide else _padded_moments(shape, moments, order, places, factors)
    data |= _coefficient_data(plan, shape, at, priors, integrated, mixed)
    units = {factor.name: at.scale / scale for factor, scale in zip(design.factors, at.z_scales, strict=True)}
    scalars, start_values = _scalars(plan, design, shape, at, factors, units, priors, kept, mixed)
    data["scalars"] = scalars.as_dict()
    data["sd_unit"] = np.concatenate([np.zeros(0), *(1.0 / units[f.name][_block_order(f)] for f in factors)])
    data["sigma_unit"] = np.array(1.0 / at.scale)
    data["kept_offset"] = _pad(at.ols[list(kept)] / at.scales[list(kept)], shape.kept)
    data["kept_unit"] = _pad(at.scales[list(kept)] / at.scale, shape.kept)
    data["lkj"] = np.array([_lkj(plan, factor) for factor in factors]).reshape(-1, 2)
    data["count"] = np.array(standardized.count)
    start = np.concatenate([scalars.inverse(start_values), np.zeros(shape.correlations)])
    without_residual = start.copy()
    without_residual[shape.sds] = scalars.inverse(
        np.where(np.arange(len(start_values)) == shape.sds, _NOTHING_LEFT * at.scale, start_values)
    )[shape.sds]
    active = np.concatenate([scalars.active, np.ones(shape.correlations, dtype=bool)])
    lower, upper = (
        _pad(wall, shape.dimension, filler)
        for wall, filler in zip(scalars.walls, (-np.inf, np.inf), strict=True)
    )
    flat = sum(row.distribution.kind is Kind.FLAT for row in (*priors, *_scalar_priors(plan)))
    return CollapsedProblem(
        shape=shape,
        data=data,
        start=start,
        active=active,
        lower=lower,
        upper=upper,
        coordinates=at,
        moments=moments,
        factors=factors,
        integrated=integrated,
        order=order,
        places=places,
        carried=np.array([*range(len(integrated)), *dense], dtype=int),
        wide=wide,
        proper=flat == 0,
        without_residual=without_residual,
        log_evidence_offset=standardized.log_scale - 0.5 * standardized.count * float(np.log(2 * np.pi)),
    )


def _in_order(factors: Sequence[FactorDesign]) -> tuple[FactorDesign, ...]:
    """The factors with the one that is eliminated level by level first."""
    if not factors:
        return ()
    first = eliminated_factor([(len(factor.levels), len(factor.coefficients)) for factor in factors])
    return (factors[first], *(factor for number, factor in enumerate(factors) if number != first))


def _group_shapes(factors: Sequence[FactorDesign], moments: Moments) -> tuple[GroupShape, ...]:
    if not factors:
        return ()
    blocks = [tuple(len(block) for block in factor.blocks) for factor in factors]
    if is_wide(factors):
        # What is eliminated on the host has no size that a program need know.
        return tuple(GroupShape(block, 0) for block in blocks)
    # Alone, a factor counts by its distinct levels. A dense level costs more than one that is eliminated alone, so
    # dense factors are padded less generously.
    alone = len(factors) == 1
    distinct = len(distinct_levels(moments.a)[0]) if alone else len(factors[0].levels)
    # A balanced design has one, and would pay for all the padding.
    first = 1 if alone and distinct == 1 else level_bucket(distinct)
    sizes = [first, *(bucket(len(factor.levels)) for factor in factors[1:])]
    return tuple(GroupShape(*both) for both in zip(blocks, sizes, strict=True))


def _places(shape: CollapsedShape, integrated: int, kept: int) -> list[int]:
    """Where the program has the columns [integrated, kept, y]."""
    return [*range(integrated), *range(shape.columns, shape.columns + kept), shape.columns + shape.kept]


def _dense_places(shape: CollapsedShape, factors: Sequence[FactorDesign]) -> np.ndarray:
    """Where the program has the dense factors' coefficients, in its own order of each factor's coefficients."""
    places, start = [np.zeros(0, dtype=int)], 0
    for factor, group in zip(factors[1:], shape.factors[1:], strict=True):
        levels = np.arange(len(factor.levels))
        places += [start + i * group.levels + levels for i in range(group.coefficients)]
        start += group.width
    return np.concatenate(places)


def _coefficient_priors(plan: FitPlan, design: Design) -> list[ResolvedPrior]:
    names = design.coefficients
    rows = [plan.prior("Intercept")] if design.intercept else []
    return rows + [plan.prior("b", name) for name in names[int(design.intercept) :]]


def _scalar_priors(plan: FitPlan) -> list[ResolvedPrior]:
    return [row for row in plan.priors if row.class_ not in ("b", "Intercept", "cor")]


def _block_order(factor: FactorDesign) -> list[int]:
    """Numbers of a factor's coefficients, block after block: the order in which programs have them."""
    return [i for block in factor.blocks for i in block]


def _padded_moments(
    shape: CollapsedShape,
    moments: Moments,
    order: list[int],
    places: list[int],
    factors: Sequence[FactorDesign],
) -> dict[str, Any]:
    """Place the columns [integrated, kept, y, dense] where the program has them; everything else stays zero."""
    head = shape.columns + shape.kept + 1
    width, p = head + shape.dense, len(order)
    places = [*places, *(head + _dense_places(shape, factors))]
    columns = [*order, p, *(p + 1 + _dense_columns(factors))]
    s = np.zeros((width, width))
    s[np.ix_(places, places)] = moments.s[np.ix_(columns, columns)]
    if not factors:
        return {"s": s}
    rows, k, levels = _block_order(factors[0]), shape.factors[0].coefficients, shape.factors[0].levels
    own_a, own_b = moments.a[np.ix_(rows, rows)], moments.b[np.ix_(rows, columns)]
    a = np.zeros((k, k, levels))
    if shape.dense:
        b = np.zeros((k, width, levels))
        a[:, :, : own_a.shape[-1]] = own_a
        b[:, places, : own_b.shape[-1]] = own_b
        return {"s": s, "a": a, "b": b}
    first, level = distinct_levels(moments.a)
    count = len(first)
    a[:, :, :count] = own_a[:, :, first]
    multiplicity = _pad(np.bincount(level, minlength=count).astype(float), levels)
    return {"s": s, "a": a, "multiplicity": multiplicity, "products": _products(own_b, places, level, shape)}


def distinct_levels(a: Float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of levels with distinct A (coef, coef, level), and for each level which of those it equals."""
    k, _, levels = a.shape
    flat = a.reshape(k * k, levels)
    # One number for each level's matrix: equal matrices have equal ones, and that unequal ones do not is seen to
    # below.
    weights = np.random.Generator(np.random.Philox(0)).uniform(1.0, 2.0, k * k)
    _, first, level = np.unique(weights @ flat, return_index=True, return_inverse=True)
    if not np.array_equal(flat, flat[:, first][:, level]):
        return np.arange(levels), np.arange(levels)
    return first, level


def _products(b: Float, places: list[int], level: NDArray[np.int64], shape: CollapsedShape) -> Float:
    """Products of the sums B of all levels that share A, (pair of columns, pair of coefs x distinct A).

    A pair of different coefficients stands for both orders of it.
    """
    k, distinct = shape.factors[0].coefficients, shape.factors[0].levels
    pairs = lower_triangle(shape.columns + shape.kept + 1)
    number = {place: i for i, place in enumerate(places)}
    products = np.zeros((len(pairs), k * (k + 1) // 2, distinct))
    for r, (i, j) in enumerate(lower_triangle(k)):
        for c, (row, column) in enumerate(pairs):
            if row in number and column in number:
                x, y = number[row], number[column]
                values = b[i, x] * b[j, y] + (b[j, x] * b[i, y] if i != j else 0.0)
                products[c, r] = np.bincount(level, weights=values, minlength=distinct)
    return products.reshape(len(pairs), -1)


def _dense_columns(factors: Sequence[FactorDesign]) -> np.ndarray:
    """Numbers of the other factors' columns in the moments, in the program's order of each factor's coefficients."""
    numbers, start = [np.zeros(0, dtype=int)], 0
    for factor in factors[1:]:
        levels = len(factor.levels)
        numbers += [start + i * levels + np.arange(levels) for i in _block_order(factor)]
        start += levels * len(factor.coefficients)
    return np.concatenate(numbers)


def _coefficient_data(
    plan: FitPlan,
    shape: CollapsedShape,
    at: Coordinates,
    priors: list[ResolvedPrior],
    integrated: tuple[int, ...],
    mixed: tuple[int, ...],
) -> dict[str, Any]:
    """Normal priors of the integrated coefficients, as independent ones of `to_prior @ internal`."""
    columns = list(integrated)
    matrix = at.to_centered if plan.center else at.to_raw
    to_prior = np.eye(shape.columns)
    count = len(columns)
    to_prior[:count, :count] = at.scale * matrix[np.ix_(columns, columns)]
    precision, location = np.ones(shape.columns), np.zeros(shape.columns)
    mix = np.zeros((shape.columns, shape.mixed))
    log_constant = 0.0
    for i, column in enumerate(columns):
        where, scale = _location_scale(priors[column].distribution)
        precision[i] = scale**-2
        location[i] = (where - matrix[column] @ at.ols) if scale < np.inf else 0.0
        log_constant += 0.0 if scale == np.inf else -float(np.log(scale))
        if column in mixed:
            mix[i, mixed.index(column)] = 1.0
    # A flat prior's density is 1 in any unit: what is left is the coordinates' jacobian and (2 pi)^(1/2).
    flat = sum(priors[c].distribution.kind is Kind.FLAT for c in columns)
    log_constant += float(np.linalg.slogdet(to_prior[:count, :count])[1]) + 0.5 * flat * float(
        np.log(2 * np.pi)
    )
    return {
        "to_prior": to_prior,
        "precision": precision,
        "location": location,
        "mix": mix,
        "log_constant": np.array(log_constant),
    }


def _location_scale(prior: Distribution) -> tuple[float, float]:
    match prior.kind:
        case Kind.NORMAL | Kind.CAUCHY:
            return prior.arguments[0], prior.arguments[1]
        case Kind.STUDENT_T:
            return prior.arguments[1], prior.arguments[2]
        case _:
            return 0.0, float("inf")


def _scalars(
    plan: FitPlan,
    design: Design,
    shape: CollapsedShape,
    at: Coordinates,
    factors: Sequence[FactorDesign],
    units: Mapping[str, Float],
    priors: list[ResolvedPrior],
    kept: tuple[int, ...],
    mixed: tuple[int, ...],
) -> tuple[Scalars, Float]:
    """The scalar hyperparameters in the program's order, and values to start the search for the mode from."""
    rows, values = [], []
    for factor in factors:
        for i in _block_order(factor):
            prior = plan.prior("sd", factor.coefficients[i], factor.name)
            unit = 0.5 * min(units[factor.name][i], _prior_size(prior))
            rows.append(Scalar(prior.distribution, prior.bounds, unit, form="half"))
            values.append(unit)
    if design.standard_error is None:
        sigma = plan.prior("sigma")
        rows.append(Scalar(sigma.distribution, sigma.bounds, at.scale))
    else:
        # Known standard errors scale the rows themselves; what is left of sigma is one.
        rows.append(Scalar(Distribution(Kind.CONSTANT, (1.0,)), (1.0, 1.0)))
    values.append(0.7 * at.scale)
    absent = Scalar(Distribution(Kind.CONSTANT, (1.0,)), (1.0, 1.0))
    for column in mixed:
        prior_of = priors[column].distribution
        half = 0.5 * (prior_of.arguments[0] if prior_of.kind is Kind.STUDENT_T else 1.0)
        rows.append(Scalar(Distribution(Kind.GAMMA, (half, half)), (0.0, np.inf), form="cube"))
        values.append(1.0)
    rows += [absent] * (shape.mixed - len(mixed))
    values += [1.0] * (shape.mixed - len(mixed))
    for column in kept:
        coefficient, scale = priors[column], at.scales[column]
        estimate = at.ols[column] / scale
        rows.append(Scalar(coefficient.distribution, coefficient.bounds, at.scale / scale, estimate))
        values.append(estimate)
    none = Scalar(Distribution(Kind.CONSTANT, (0.0,)), (0.0, 0.0))
    rows += [none] * (shape.kept - len(kept))
    values += [0.0] * (shape.kept - len(kept))
    return Scalars.of(rows), np.array(values)


def _prior_size(prior: ResolvedPrior) -> float:
    """A size that a positive parameter hardly exceeds by its prior, be it far below what the data's units suggest."""
    if prior.distribution.kind in (Kind.FLAT, Kind.CONSTANT):
        return np.inf
    return prior.distribution.quantile(0.95, *prior.bounds)


def _lkj(plan: FitPlan, factor: FactorDesign) -> Float:
    if all(len(block) == 1 for block in factor.blocks):
        return np.array([1.0, 0.0])
    shape = plan.prior("cor", None, factor.name).distribution.arguments[0]
    return lkj_constants(shape, tuple(len(block) for block in factor.blocks))


def _pad(values: Float, size: int, filler: float = 0.0) -> Float:
    return np.concatenate([values, np.full(size - len(values), filler)])
