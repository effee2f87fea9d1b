"""Pages of the levels of a grouping factor: found, put in order, and only then drawn.

No more than the levels of one page is ever drawn, however many a factor has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model.frame.design import Float
from model.results.estimate import estimates
from model.results.posterior import Posterior

Json = dict[str, Any]
Sort = Literal["label", "-label", "deviation", "-deviation", "value", "-value"]


@dataclass(frozen=True, slots=True)
class Entries:
    """Which levels with which coefficients an answer is about, in its order; numbers as the factor has them."""

    factor: str
    levels: NDArray[np.intp]  # (entry,)
    coefficients: NDArray[np.intp]  # (entry,)

    def __len__(self) -> int:
        return len(self.levels)


def find_entries(
    posterior: Posterior,
    factor: str,
    *,
    search: str | None = None,
    coefficient: str | None = None,
    sort: Sort | None = None,
) -> Entries:
    """The entries of one factor, level by level in the model's order unless `sort` says otherwise.

    `search` keeps levels whose label contains it, in any case. `label` sorts by the levels' values, `deviation` and
    `value` by posterior means, in which a level's own Monte Carlo error has no part; `-` puts the largest first.
    """
    structure = next(found for found in posterior.encoding.factors if found.name == factor)
    of = posterior.levels[factor]
    wanted = [j for j, name in enumerate(structure.coefficients) if coefficient in (None, name)]
    backwards = sort is not None and sort.startswith("-")
    by = None if sort is None else sort.removeprefix("-")
    if by in ("deviation", "value"):
        names = structure.coefficients
        shift = [population_part(posterior, n).mean() if by == "value" else 0.0 for n in names]
        shift = np.nan_to_num(shift).tolist()
        levels, coefficients = of.by_mean(tuple((j, float(shift[j])) for j in wanted))
        if backwards:
            levels, coefficients = levels[::-1], coefficients[::-1]
    else:
        order = of.by_value if by == "label" else np.arange(len(structure.levels))
        levels = np.repeat(order[::-1] if backwards else order, len(wanted))
        coefficients = np.tile(np.array(wanted, dtype=np.intp), len(order))
    if search is not None:
        part = search.casefold()
        hit = np.fromiter((part in text for text in of.folded), dtype=bool, count=len(of.folded))
        kept = hit[levels]
        levels, coefficients = levels[kept], coefficients[kept]
    return Entries(factor, levels, coefficients)


def estimate_entries(
    posterior: Posterior, entries: Entries, start: int, count: int, prob: float
) -> list[Json]:
    """Deviations (u) and values (b + u) of some entries, with central intervals of probability `prob`."""
    structure = next(found for found in posterior.encoding.factors if found.name == entries.factor)
    of = posterior.levels[entries.factor]
    levels = entries.levels[start : start + count].tolist()
    coefficients = entries.coefficients[start : start + count].tolist()
    if not levels:
        return []
    shape = (posterior.chains, posterior.draws)
    drawn = dict(zip(dict.fromkeys(levels), of.draws(list(dict.fromkeys(levels))), strict=True))
    population = [population_part(posterior, name) for name in structure.coefficients]
    deviations = np.stack(
        [drawn[level][j].reshape(shape) for level, j in zip(levels, coefficients, strict=True)]
    )
    values = deviations + np.stack([population[j] for j in coefficients])
    found = zip(levels, coefficients, estimates(deviations, prob), estimates(values, prob), strict=True)
    return [
        {
            "level": of.labels[level],
            "columns": dict(zip(structure.columns, structure.levels[level], strict=True)),
            "coefficient": structure.coefficients[j],
            "deviation": deviation.to_json(),
            "value": value.to_json(),
        }
        for level, j, deviation, value in found
    ]


def population_part(posterior: Posterior, coefficient: str) -> Float:
    """Draws (chain, draw) of the population-level coefficient of that name; zero where the model has none.

    NaN where its column was left out as a combination of others, so that the data cannot tell it.
    """
    names: Sequence[str] = posterior.encoding.coefficients
    if coefficient in posterior.encoding.aliased:
        return np.full(posterior.population.shape[:2], np.nan)
    if coefficient not in names:
        return np.zeros(posterior.population.shape[:2])
    return posterior.population[:, :, names.index(coefficient)]
