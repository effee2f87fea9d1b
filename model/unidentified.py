"""Whether the data can tell the residual sd from the sds of group-level effects.

They cannot where one term has as many effects as there are rows to explain, as lme4 has it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.distributions import Kind
from model.errors import Notice
from model.family import Family
from model.frame.design import Design, FactorDesign
from model.frame.identifiability import saturated
from model.priors import ResolvedPrior

_EXACT = 1e-9
"""Of the residual covariance: less than this share of it is left by effects that take its place."""
_MOST_ELEMENTS = 60
"""Free elements of a factor's covariance matrix for which it is looked at as a whole."""


def unidentified_residual(
    design: Design, family: Family, priors: Sequence[ResolvedPrior]
) -> Iterator[Notice]:
    """Warn of each factor whose effects can take the place of the residuals.

    Only a gaussian model with a sigma that is estimated has residuals that can be mistaken for effects: with known
    standard errors, or a constant sigma, nothing is mistaken, and effects of single rows are how counts and shares
    are given overdispersion. Where rows have weights of their own, these tell residuals from effects.
    """
    sigma = next((row for row in priors if row.class_ == "sigma"), None)
    if (family.name, family.link) != ("gaussian", "identity") or sigma is None:
        return
    weights = np.ones(design.rows) if design.weights is None else design.weights
    used = np.flatnonzero(weights > 0)
    if sigma.distribution.kind is Kind.CONSTANT or np.ptp(weights[used]) > 0:
        return
    known = {(row.group, row.coef) for row in priors if row.distribution.kind is Kind.CONSTANT}
    for factor in design.factors:
        # An sd that is known is told from sigma.
        if any((factor.name, name) not in known for name in factor.coefficients):
            yield from _of_factor(factor.take(used))


def _of_factor(factor: FactorDesign) -> Iterator[Notice]:
    """A term with as many effects as rows is what lme4 refuses; in uncorrelated terms each coefficient is one."""
    rows = len(factor.index)
    effects = [_levels_with(factor, factor.z[:, i] != 0) for i in range(len(factor.coefficients))]
    many = [block for block in factor.blocks if sum(effects[i] for i in block) >= rows]
    exact = any(saturated(_only(factor, block)) for block in many)
    if not exact and sum(effects) >= rows and _replaces_residuals(factor):
        many, exact = list(factor.blocks), True
    if not many:
        return
    chosen = [i for block in many for i in block]
    parameters = ("sigma", *(f"sd[{factor.name}][{factor.coefficients[i]}]" for i in chosen))
    told = f"There are {sum(effects[i] for i in chosen)} deviations of {factor.name} for {rows} rows"
    advice = (
        f"Leave {'this factor' if len(chosen) == 1 else 'a coefficient of this factor, or all of it,'} out."
    )
    if exact:
        message = (
            f"{told}, which fit every row exactly: the residual standard deviation can hardly be told from theirs,"
            " and mostly by the priors."
        )
        yield Notice("unidentified_residual", message, "serious", parameters, advice)
    else:
        message = (
            f"{told}: only levels with more rows than deviations tell the residual standard deviation apart."
        )
        yield Notice("unidentified_residual", message, "warning", parameters, advice)


def _only(factor: FactorDesign, block: tuple[int, ...]) -> FactorDesign:
    """The factor with the coefficients of one block, and the levels that have rows."""
    levels, index = np.unique(factor.index, return_inverse=True)
    return replace(
        factor,
        levels=tuple(factor.levels[level] for level in levels),
        coefficients=tuple(factor.coefficients[i] for i in block),
        blocks=(tuple(range(len(block))),),
        z=factor.z[:, list(block)],
        index=index.astype(np.int64),
    )


def _levels_with(factor: FactorDesign, rows: NDArray[np.bool_]) -> int:
    """How many levels have any of these rows."""
    return int(np.count_nonzero(np.bincount(factor.index[rows], minlength=len(factor.levels))))


def _replaces_residuals(factor: FactorDesign) -> bool:
    """Whether some covariance of the effects is that of the residuals: Z_l D Z_l' = I in every level, D with the
    blocks of Phi.

    Then sigma^2 may be moved from one to the other as one likes. D is looked for by least squares, whose sums are
    traces of products of the levels' Z'Z.
    """
    elements = [(i, j) for block in factor.blocks for i in block for j in block if i >= j]
    if len(elements) > _MOST_ELEMENTS:
        return False
    levels, k, z, index = len(factor.levels), factor.z.shape[1], factor.z, factor.index
    scale = np.sqrt(np.mean(z**2, axis=0))
    z = z / np.where(scale > 0, scale, 1.0)
    a = np.empty((k, k, levels))
    for i in range(k):
        for j in range(i + 1):
            a[i, j] = a[j, i] = np.bincount(index, z[:, i] * z[:, j], levels)
    basis = np.zeros((len(elements), k, k))
    for number, (i, j) in enumerate(elements):
        basis[number, i, j] = basis[number, j, i] = 1.0
    products = np.einsum("eij,jkl->elik", basis, a)
    gram = np.einsum("elik,flki->ef", products, products)
    right = np.einsum("elii->e", products)
    rows = float(len(z))
    solution = np.linalg.lstsq(gram, right, rcond=None)[0]
    return bool(rows - right @ solution <= _EXACT * rows)
