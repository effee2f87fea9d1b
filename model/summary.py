"""What a fit reports: population coefficients, each factor's sd, correlation and covariance, R2, ICC, diagnostics.

The dictionaries here are the HTTP contract's, field by field; they hold plain numbers, never NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from model.design import Float, Level
from model.diagnostics import Estimate, estimate, notices, overall
from model.errors import Notice
from model.posterior import Posterior

Json = dict[str, Any]


def scalars(posterior: Posterior) -> dict[str, Float]:
    """Every sampled scalar by its name, (chain, draw): `b[x]`, `sd[g][x]`, `cor[g][x,y]`, `sigma`."""
    draws = {
        f"b[{name}]": posterior.population[:, :, j] for j, name in enumerate(posterior.encoding.coefficients)
    }
    for factor in posterior.encoding.factors:
        of, names = posterior.factors[factor.name], factor.coefficients
        draws |= {f"sd[{factor.name}][{name}]": of.sd[:, :, j] for j, name in enumerate(names)}
        correlation = of.correlation
        for i, j in pairs(factor.blocks):
            draws[f"cor[{factor.name}][{names[i]},{names[j]}]"] = correlation[:, :, i, j]
    return draws | dict(posterior.parameters)


def pairs(blocks: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """The pairs of coefficients that the blocks correlate."""
    return [(i, j) for block in blocks for a, i in enumerate(block) for j in block[a + 1 :]]


def summarize(posterior: Posterior, prob: float = 0.95) -> Json:
    """The summary of a fit with central intervals of probability `prob`, as the HTTP contract names it."""
    estimates = {name: estimate(draws, prob) for name, draws in scalars(posterior).items()}
    groups = {
        factor.name: _group(posterior, factor, estimates, prob) for factor in posterior.encoding.factors
    }
    marginal, conditional, icc = explained_variance(posterior)
    return {
        "prob": prob,
        "population": [
            {"name": n, **estimates[f"b[{n}]"].to_json()} for n in posterior.encoding.coefficients
        ],
        "groups": groups,
        "family_parameters": [{"name": n, **estimates[n].to_json()} for n in posterior.parameters],
        "r2": {
            "marginal": estimate(marginal, prob).to_json(),
            "conditional": estimate(conditional, prob).to_json(),
        },
        "icc": {name: estimate(draws, prob).to_json() for name, draws in icc.items()},
        "diagnostics": overall(estimates, posterior.statistics),
        "warnings": [asdict(n) for n in warn(posterior, estimates)],
    }


def warn(posterior: Posterior, estimates: Mapping[str, Estimate]) -> tuple[Notice, ...]:
    """The warnings of a fit: those of its data first, then those of its draws."""
    return (*posterior.encoding.warnings, *notices(estimates, posterior.statistics, posterior))


def explained_variance(posterior: Posterior) -> tuple[Float, Float, dict[str, Float]]:
    """Draws (chain, draw) of the marginal and the conditional R2, and of each factor's share of the residual variance
    (ICC).

    The variance of x'b over the rows, that of z'u averaged over the rows (tr(Phi E[zz'])) and sigma^2 are compared,
    after Nakagawa and Schielzeth (2013) and Johnson (2014) for random slopes.
    """
    fixed = np.einsum("cdi,ij,cdj->cd", posterior.population, posterior.x_covariance, posterior.population)
    random = {
        name: np.einsum("cdij,ij->cd", of.covariance, of.z_moment) for name, of in posterior.factors.items()
    }
    residual = posterior.parameters["sigma"] ** 2
    grouped = sum(random.values(), np.zeros_like(residual))
    total = fixed + grouped + residual
    icc = {name: share / (grouped + residual) for name, share in random.items()}
    return fixed / total, (fixed + grouped) / total, icc


def groups(
    posterior: Posterior,
    factor: str,
    *,
    prob: float = 0.95,
    offset: int = 0,
    limit: int = 20,
    search: str | None = None,
    coefficient: str | None = None,
) -> tuple[list[Json], int]:
    """Level-specific deviations (u) and coefficients (b + u) of one factor: a page of items, and how many there are.

    Items go level by level; only the levels of the page are drawn. `search` keeps levels whose label contains it.
    """
    structure = next(f for f in posterior.encoding.factors if f.name == factor)
    names = [n for n in structure.coefficients if coefficient in (None, n)]
    labels = [label(level) for level in structure.levels]
    kept = [i for i, text in enumerate(labels) if search is None or search.casefold() in text.casefold()]
    total = len(kept) * len(names)
    wanted = [
        (kept[i // len(names)], names[i % len(names)]) for i in range(offset, min(offset + limit, total))
    ]
    numbers = sorted({number for number, _ in wanted})
    if not wanted:
        return [], total
    deviations = posterior.deviations(factor, numbers)
    items = []
    for number, name in wanted:
        draws = deviations[:, :, numbers.index(number), structure.coefficients.index(name)]
        population = population_part(posterior, name)
        items.append(
            {
                "level": labels[number],
                "columns": dict(zip(structure.columns, structure.levels[number], strict=True)),
                "coefficient": name,
                "deviation": estimate(draws, prob).to_json(),
                "value": estimate(draws + population, prob).to_json(),
            }
        )
    return items, total


def population_part(posterior: Posterior, coefficient: str) -> Float:
    """Draws (chain, draw) of the population-level coefficient of that name; zero where the model has none."""
    names = posterior.encoding.coefficients
    if coefficient not in names:
        return np.zeros(posterior.population.shape[:2])
    return posterior.population[:, :, names.index(coefficient)]


def label(level: Level) -> str:
    """A level as one text, for people: its values joined by a colon."""
    return ":".join(str(value).lower() if isinstance(value, bool) else str(value) for value in level)


def _group(posterior: Posterior, factor: Any, estimates: Mapping[str, Estimate], prob: float) -> Json:
    names, covariance = factor.coefficients, posterior.factors[factor.name].covariance
    correlated = pairs(factor.blocks)
    elements = [
        (i, j) for i in range(len(names)) for j in range(i, len(names)) if i == j or (i, j) in correlated
    ]
    return {
        "levels": len(factor.levels),
        "coefficients": list(names),
        "sd": [{"name": n, **estimates[f"sd[{factor.name}][{n}]"].to_json()} for n in names],
        "correlation": [
            {
                "names": [names[i], names[j]],
                **estimates[f"cor[{factor.name}][{names[i]},{names[j]}]"].to_json(),
            }
            for i, j in correlated
        ],
        "covariance": [
            {"names": [names[i], names[j]], **estimate(covariance[:, :, i, j], prob).to_json()}
            for i, j in elements
        ],
    }
