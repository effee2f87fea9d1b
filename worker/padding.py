"""From a plan's arrays to a program's: sizes rounded up to buckets, with rows and columns that change no result.

A padded level has sums of zero; a padded column has none either, and a normal prior of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from model.collinear import along, directions
from model.distributions import Kind
from model.frame.design import Design, FactorDesign, Float
from model.moments import Coordinates, Moments, accumulate, eliminated_factor, standardize
from model.spec import FitPlan
from worker.padded_priors import (
    coefficient_data,
    coefficient_priors,
    fixed_sds,
    hyper_scalars,
    lkj_data,
    scalar_priors,
    users_sds_data,
)
from worker.padded_sums import (
    Distinct,
    block_order,
    column_places,
    dense_columns,
    dense_places,
    distinct_levels,
    filled,
    padded_sums,
)
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
    sums: Moments
    """The moments as the program has them: along the directions of `basis` where there is one."""
    basis: Float | None
    """Where columns of X are combinations of others: the integrated columns' coefficients (coef, direction)."""
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

    @property
    def centered(self) -> bool:
        """Whether some group-level effects are in other coordinates than the user's."""
        return any(of.others.any() for of in self.data["users_sds"])

    def crossed(self) -> Crossed:
        """The sums of a wide problem, its columns in the program's order."""
        p = len(self.order)
        columns = [*self.order, p, *(p + 1 + dense_columns(self.factors))]
        rows = block_order(self.factors[0])
        a, b = self.sums.a[np.ix_(rows, rows)], self.sums.b[np.ix_(rows, columns)]
        return Crossed(
            Moments(a, b, self.sums.s[np.ix_(columns, columns)]),
            p + 1,
            [len(factor.levels) for factor in self.factors[1:]],
        )


MAX_PROGRAM_WIDTH = 64
"""Coefficients of all factors but the first that a compiled program takes; more are eliminated on the host."""


def is_wide(factors: Sequence[FactorDesign]) -> bool:
    """Whether the factors but the first (of `_in_order`) are eliminated on the host."""
    return sum(len(factor.levels) * len(factor.coefficients) for factor in factors[1:]) > MAX_PROGRAM_WIDTH


def collapsed_problem(plan: FitPlan, design: Design, *, centered: bool = True) -> CollapsedProblem:
    """Make the sums of a gaussian model and pad them to the shape of a program.

    Covariates of group-level effects that are far from zero are `centered`, unless all are to stay as they are.
    """
    priors = coefficient_priors(plan, design)
    integrated = tuple(i for i, row in enumerate(priors) if row.distribution.kind in _CONJUGATE)
    kept = tuple(i for i in range(len(priors)) if i not in integrated)
    # A kept coefficient must be one internal coordinate, so the raw intercept may not mix with it.
    fixed = [[not centered or known for known in fixed_sds(plan, factor)] for factor in design.factors]
    # What is a combination only in rows that have a weight was not found in all of them.
    collinear = bool(plan.encoding.collinear) or (design.weights is not None and not design.weights.all())
    standardized = standardize(design, center=plan.center or not kept, fixed=fixed, collinear=collinear)
    at = standardized.coordinates
    factors = _in_order(design.factors)
    mixed = tuple(i for i in integrated if priors[i].distribution.kind in (Kind.STUDENT_T, Kind.CAUCHY))
    moments = accumulate(standardized, design.factors)
    basis, sums = None, moments
    if collinear and integrated:
        basis, rank = directions(standardized.columns[:, list(integrated)])
        b = along(moments.b, 1, list(integrated), basis, rank)
        s = along(along(moments.s, 0, list(integrated), basis, rank), 1, list(integrated), basis, rank)
        sums = replace(moments, b=b, s=s)
    distinct = distinct_levels(moments.a) if len(factors) == 1 else None
    shape = CollapsedShape(
        columns=bucket(len(integrated)),
        kept=bucket(len(kept)),
        mixed=bucket(len(mixed)),
        factors=_group_shapes(factors, distinct),
    )
    order = [*integrated, *kept]
    places = column_places(shape, len(integrated), len(kept))
    wide = is_wide(factors)
    dense = np.zeros(0, dtype=int) if wide else shape.columns + dense_places(shape, factors)
    data = {} if wide else padded_sums(shape, sums, order, places, factors, distinct)
    data |= coefficient_data(plan, shape, at, priors, integrated, mixed)
    if basis is not None:
        own = slice(len(integrated))
        data["to_prior"][own, own] = data["to_prior"][own, own] @ basis
    maps = {factor.name: z_map for factor, z_map in zip(design.factors, at.z_maps, strict=True)}
    units = {name: at.scale * np.diagonal(z_map) for name, z_map in maps.items()}
    scalars, start_values = hyper_scalars(plan, design, shape, at, factors, maps, priors, kept, mixed)
    data["scalars"] = scalars.as_dict()
    data["users_sds"] = [users_sds_data(plan, factor, maps[factor.name]) for factor in factors]
    data["sd_unit"] = np.concatenate([np.zeros(0), *(1.0 / units[f.name][block_order(f)] for f in factors)])
    data["sigma_unit"] = np.array(1.0 / at.scale)
    data["kept_offset"] = filled(at.ols[list(kept)] / at.scales[list(kept)], shape.kept)
    data["kept_unit"] = filled(at.scales[list(kept)] / at.scale, shape.kept)
    data["lkj"] = np.array([lkj_data(plan, factor) for factor in factors]).reshape(-1, 2)
    data["count"] = np.array(standardized.count)
    start = np.concatenate([scalars.inverse(start_values), np.zeros(shape.correlations)])
    without_residual = start.copy()
    without_residual[shape.sds] = scalars.inverse_of(shape.sds, _NOTHING_LEFT * at.scale)
    active = np.concatenate([scalars.active, np.ones(shape.correlations, dtype=bool)])
    lower, upper = (
        filled(wall, shape.dimension, filler)
        for wall, filler in zip(scalars.walls, (-np.inf, np.inf), strict=True)
    )
    flat = sum(row.distribution.kind is Kind.FLAT for row in (*priors, *scalar_priors(plan)))
    return CollapsedProblem(
        shape=shape,
        data=data,
        start=start,
        active=active,
        lower=lower,
        upper=upper,
        coordinates=at,
        moments=moments,
        sums=sums,
        basis=basis,
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


def _group_shapes(factors: Sequence[FactorDesign], distinct: Distinct | None) -> tuple[GroupShape, ...]:
    if not factors:
        return ()
    blocks = [tuple(len(block) for block in factor.blocks) for factor in factors]
    if is_wide(factors):
        # What is eliminated on the host has no size that a program need know.
        return tuple(GroupShape(block, 0) for block in blocks)
    # Alone, a factor counts by its distinct levels. A dense level costs more than one that is eliminated alone, so
    # dense factors are padded less generously.
    count = len(factors[0].levels) if distinct is None else len(distinct.first)
    # A balanced design has one, and would pay for all the padding.
    first = 1 if distinct is not None and count == 1 else level_bucket(count)
    sizes = [first, *(bucket(len(factor.levels)) for factor in factors[1:])]
    return tuple(GroupShape(*both) for both in zip(blocks, sizes, strict=True))
