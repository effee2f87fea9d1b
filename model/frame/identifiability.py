"""What the data cannot tell apart: combinations of columns of X, and slopes that never vary within a level.

The first is an error unless such columns are to be dropped or priors hold their coefficients, the second a warning.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model.errors import InvalidModel, Issue, Notice
from model.frame.design import FactorDesign
from model.frame.rank import Alias, aliased

Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Held:
    """Which coefficients a proper prior holds; `center`: that of the intercept is at the means of the predictors."""

    proper: Callable[[str], bool]
    center: bool


NONE_HELD = Held(lambda name: False, center=True)


def aliased_columns(
    x: Float, names: Sequence[str], intercept: bool, rule: Literal["error", "drop"], held: Held
) -> tuple[tuple[Alias, ...], tuple[Notice, ...]]:
    """The columns of x (row, coef) that are aliased, with a notice; raises InvalidModel where any is an error.

    It is none where priors tell the coefficients of aliased columns apart, as far as the data do not.
    """
    found = aliased(x, intercept)
    if not found:
        return (), ()
    lost = tuple(names[alias.column] for alias in found)
    reasons = "; ".join(_reason(alias, names) for alias in found[:10])
    if rule == "error":
        told = f"X has {x.shape[1]} columns and rank {x.shape[1] - len(found)}: {reasons}."
        if _free_columns_are_aliased(x, names, intercept, held):
            message = (
                f"{told} Proper priors on their coefficients, or leaving columns out (aliased: drop), would tell"
                " them apart."
            )
            raise InvalidModel(Issue("rank-deficient", message, "/formula"))
        concerned = {c for alias in found for c in (alias.column, *alias.of)}
        message = f"{told} The data cannot tell these coefficients apart; what does are their priors alone."
        parameters = tuple(f"b[{names[c]}]" for c in sorted(concerned))
        advice = "Predictions rest on the priors too where rows do not have the same combination."
        return found, (Notice("collinear", message, "warning", parameters, advice),)
    message = f"{len(found)} columns of X are left out: {reasons}."
    return found, (Notice("rank_deficient", message, "warning", lost),)


def _free_columns_are_aliased(x: Float, names: Sequence[str], intercept: bool, held: Held) -> bool:
    """Whether columns whose coefficients have flat priors are aliased among themselves: then nothing holds these.

    Where the prior of the intercept is that at the means of the predictors, columns are centered whatever it is.
    """
    free = [c for c, name in enumerate(names) if not held.proper(name)]
    centered = intercept and (held.center or 0 in free)
    slopes = [c for c in free if c > 0 or not intercept]
    return bool(aliased(x[:, [0, *slopes] if centered else slopes], centered))


def _reason(alias: Alias, names: Sequence[str]) -> str:
    name, of = names[alias.column], [names[column] for column in alias.of]
    if not of:
        return f"{name} is constant"
    shown = ", ".join(of[:5]) + (f" and {len(of) - 5} more" if len(of) > 5 else "")
    return f"{name} is a linear combination of {shown}"


def constant_within(values: NDArray[Any], factor: FactorDesign) -> bool:
    """Whether values (row,) never vary within a level of a factor; False where every level has one row."""
    some_row = np.full(len(factor.levels), -1)
    some_row[factor.index] = np.arange(len(values))
    if np.count_nonzero(some_row >= 0) == len(values):
        return False
    return bool(np.array_equal(values, values[some_row[factor.index]]))


def constant_slopes(factor: FactorDesign) -> Iterator[Notice]:
    """A warning for every coefficient whose covariate has one value within each level."""
    for place, name in enumerate(factor.coefficients):
        # one that never varies at all stands for the intercept, where there is none
        stands_in = "Intercept" not in factor.coefficients and bool(np.ptp(factor.z[:, place]) == 0)
        if name != "Intercept" and not stands_in and constant_within(factor.z[:, place], factor):
            message = (
                f"{name} never varies within a level of {factor.name}, so that its slope there is unknown."
            )
            advice = f"Leave {name} out of the bar on {factor.name}; it can stand among the other terms."
            yield Notice("constant_slope", message, "warning", (f"sd[{factor.name}][{name}]",), advice)


_LEVELS = 20_000
"""Whose covariates are looked at, at most."""


def saturated(factor: FactorDesign) -> bool:
    """Whether the deviations of every level fit its rows exactly, whatever the response: no row is left for a residual.

    Of very many levels the first are looked at.
    """
    rows = np.bincount(factor.index, minlength=len(factor.levels))
    k = factor.z.shape[1]
    if rows.max(initial=0) > k:
        return False
    if k == 1:
        return bool(np.all(factor.z != 0.0))
    order = np.argsort(factor.index, kind="stable")
    order = order[: int(rows[:_LEVELS].sum())]
    level = factor.index[order]
    within = np.arange(len(order)) - (np.cumsum(rows) - rows)[level]
    z = np.zeros((min(len(rows), _LEVELS), k, k))
    z[level, within] = factor.z[order] / np.maximum(np.abs(factor.z).max(axis=0), 1e-300)
    return bool(np.array_equal(np.linalg.matrix_rank(z), rows[:_LEVELS]))
