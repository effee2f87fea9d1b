"""What a model expects along one predictor in each level of a grouping factor, over the rows that it was fitted to.

A level's line runs through the range of its own rows only; everything else stays at the reference grid's values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.frame.design import Design, FactorDesign, Float
from model.frame.levels import Value
from model.frame.table import Table
from model.predictions.conditional import conditional_effects
from model.predictions.grid import Grid, reference_grid
from model.results.factor_levels import label
from model.results.posterior import Posterior
from model.subsample import sample_rows

MOST_ROWS = 4000
"""Rows that are given with the lines."""
MOST_DRAWS = 4000
"""Draws that the lines are means of; the population's are of all."""


@dataclass(frozen=True, slots=True)
class Line:
    """The posterior means of the expected response along the predictor, in one level."""

    level: str
    x: tuple[Value, ...]  # (point,)
    mean: Float  # (point,)


@dataclass(frozen=True, slots=True)
class GroupLines:
    """Lines of some levels, the population's among them, and rows of the data.

    `population` is the conditional effect without group-level effects. `factors` are those whose effects a line has;
    `observed` is y, or successes by trials; `rows` and `levels` count what there is, not only what is given, and
    `draws` those that the lines are means of.
    """

    variable: str
    factors: tuple[str, ...]
    population: Mapping[str, Any]
    draws: int
    lines: tuple[Line, ...]
    x: tuple[Value, ...]  # (row,)
    observed: Float  # (row,)
    rows: int
    levels: int


def group_lines(
    posterior: Posterior,
    table: Table,
    design: Design,
    variable: str,
    factor: str,
    *,
    most: int,
    points: int = 30,
    prob: float = 0.95,
) -> GroupLines:
    """The lines of at most `most` levels, evenly chosen among those that have rows; `table` and `design` are the fit's.

    Raises InvalidModel for a predictor that the model does not have.
    """
    encoding = posterior.encoding
    base = reference_grid(encoding, variable, points=points)
    grouping = next(found for found in design.factors if found.name == factor)
    through = np.array(base.columns[variable], dtype=object)
    kept = np.delete(np.arange(table.rows), list(encoding.dropped))
    x = np.array(table[variable].take(kept).to_list(), dtype=object)
    chosen = _chosen(grouping, most)
    grids = [_own_grid(through, x[grouping.index == number]) for number in chosen]
    total = posterior.chains * posterior.draws
    some = posterior if total <= MOST_DRAWS else posterior.spread(MOST_DRAWS)
    means = _means(some, base, variable, grouping, chosen, grids)
    shown = sample_rows(design.rows, MOST_ROWS)
    assert design.y is not None
    y = design.y if design.trials is None else design.y / np.maximum(design.trials, 1.0)
    return GroupLines(
        variable=variable,
        factors=_known_factors(posterior, grouping),
        population=conditional_effects(posterior, base, prob=prob),
        draws=some.chains * some.draws,
        lines=tuple(
            Line(label(grouping.levels[number]), tuple(own), mean)
            for number, own, mean in zip(chosen, grids, means, strict=True)
        ),
        x=tuple(x[shown].tolist()),
        observed=y[shown],
        rows=design.rows,
        levels=len(grouping.levels),
    )


def _chosen(factor: FactorDesign, most: int) -> list[int]:
    used = np.unique(factor.index)
    if len(used) > most:
        used = used[np.linspace(0, len(used) - 1, most).round().astype(np.intp)]
    return [int(number) for number in used]


def _own_grid(through: NDArray[Any], own: NDArray[Any]) -> list[Value]:
    """The part of the grid of all rows that the rows of one level span."""
    if isinstance(own[0], str | bool):
        return [value for value in through.tolist() if value in set(own.tolist())]
    low, high = float(min(own)), float(max(own))
    inside = [value for value in through.tolist() if low < value < high]
    return sorted({low, *inside, high})


def _known_factors(posterior: Posterior, factor: FactorDesign) -> tuple[str, ...]:
    """The factors whose level a level of this one determines: of `a:b` also `a`."""
    return tuple(f.name for f in posterior.encoding.factors if set(f.columns) <= set(factor.columns))


def _means(
    posterior: Posterior,
    base: Grid,
    variable: str,
    factor: FactorDesign,
    chosen: Sequence[int],
    grids: Sequence[Sequence[Value]],
) -> list[Float]:
    """The posterior means at the points of each level's grid."""
    columns: dict[str, tuple[Value, ...]] = {variable: tuple(value for grid in grids for value in grid)}
    for place, name in enumerate(factor.columns):
        if name != variable:
            columns[name] = tuple(
                factor.levels[number][place] for number, grid in zip(chosen, grids, strict=True) for _ in grid
            )
    reference = {name: value for name, value in base.reference.items() if name not in columns}
    grid = replace(base, columns=columns, reference=reference, factors=_known_factors(posterior, factor))
    means = np.array(conditional_effects(posterior, grid)["mean"])
    return np.split(means, np.cumsum([len(own) for own in grids])[:-1])
