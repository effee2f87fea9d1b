"""The priors of a collapsed model as its program takes them, with a place to start from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from model.centering import least_sizes, prior_row
from model.distributions import Distribution, Kind
from model.frame.design import Design, FactorDesign, Float
from model.moments import Coordinates
from model.priors import ResolvedPrior
from model.spec import FitPlan
from worker.padded_sums import block_order
from worker.programs.centered import UsersSds
from worker.programs.hyper import Scalar, Scalars, lkj_constants
from worker.shape import CollapsedShape


def coefficient_priors(plan: FitPlan, design: Design) -> list[ResolvedPrior]:
    """The prior of each of X's columns."""
    names = design.coefficients
    rows = [plan.prior("Intercept")] if design.intercept else []
    return rows + [plan.prior("b", name) for name in names[int(design.intercept) :]]


def scalar_priors(plan: FitPlan) -> list[ResolvedPrior]:
    """The priors of the scalars that are no coefficients."""
    return [row for row in plan.priors if row.class_ not in ("b", "Intercept", "cor")]


def coefficient_data(
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


def hyper_scalars(
    plan: FitPlan,
    design: Design,
    shape: CollapsedShape,
    at: Coordinates,
    factors: Sequence[FactorDesign],
    maps: Mapping[str, Float],
    priors: list[ResolvedPrior],
    kept: tuple[int, ...],
    mixed: tuple[int, ...],
) -> tuple[Scalars, Float]:
    """The scalar hyperparameters in the program's order, and values to start the search for the mode from."""
    rows, values = [], []
    for factor in factors:
        of = [plan.prior("sd", name, factor.name) for name in factor.coefficients]
        matrix, sizes = maps[factor.name], at.scale * np.diagonal(maps[factor.name])
        matrix = matrix / np.diagonal(matrix)
        guess = 0.5 * np.minimum(sizes, [_prior_size(prior) for prior in of])
        units, others = least_sizes(guess, matrix), prior_row(matrix)
        for i in block_order(factor):
            walked = (0.0, np.inf) if others[i] else None
            rows.append(Scalar(of[i].distribution, of[i].bounds, units[i], form="half", walked=walked))
            values.append(guess[i])
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


def fixed_sds(plan: FitPlan, factor: FactorDesign) -> list[bool]:
    """Whether the sd of each of a factor's coefficients is a constant."""
    priors = (plan.prior("sd", name, factor.name) for name in factor.coefficients)
    return [prior.distribution.kind is Kind.CONSTANT for prior in priors]


def users_sds_data(plan: FitPlan, factor: FactorDesign, to_user: Float) -> UsersSds:
    """How the sds that a factor's priors are of follow from those of centered deviations, in the program's order.

    `to_user` (coef, coef) takes internal deviations to the user's, in any unit.
    """
    order = block_order(factor)
    bounds = [plan.prior("sd", factor.coefficients[i], factor.name).bounds for i in order]
    return UsersSds.of((to_user / np.diagonal(to_user))[np.ix_(order, order)], bounds)


def lkj_data(plan: FitPlan, factor: FactorDesign) -> Float:
    """What `correlation_root` takes of a factor's LKJ prior (2,)."""
    if all(len(block) == 1 for block in factor.blocks):
        return np.array([1.0, 0.0])
    shape = plan.prior("cor", None, factor.name).distribution.arguments[0]
    return lkj_constants(shape, tuple(len(block) for block in factor.blocks))


def _location_scale(prior: Distribution) -> tuple[float, float]:
    match prior.kind:
        case Kind.NORMAL | Kind.CAUCHY:
            return prior.arguments[0], prior.arguments[1]
        case Kind.STUDENT_T:
            return prior.arguments[1], prior.arguments[2]
        case _:
            return 0.0, float("inf")


def _prior_size(prior: ResolvedPrior) -> float:
    """A size that a positive parameter hardly exceeds by its prior, be it far below what the data's units suggest."""
    if prior.distribution.kind in (Kind.FLAT, Kind.CONSTANT):
        return np.inf
    return prior.distribution.quantile(0.95, *prior.bounds)
