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
    marginal, conditional, icc = explained_variance(posterior) or (None, None, {})
    return {
        "prob": prob,
        "population": [
            {"name": n, **estimates[f"b[{n}]"].to_json()} for n in posterior.encoding.coefficients
        ],
        "groups": groups,
        "family_parameters": [{"name": n, **estimates[n].to_json()} for n in posterior.parameters],
        "r2": {
            "marginal": _maybe(marginal, prob),
            "conditional": _maybe(conditional, prob),
        },
        "icc": {name: estimate(draws, prob).to_json() for name, draws in icc.items()},
        "diagnostics": overall(estimates, posterior.statistics),
        "warnings": [asdict(n) for n in warn(posterior, estimates)],
    }


def _maybe(draws: Float | None, prob: float) -> Json:
    """The estimate of a quantity, with null for every figure of one that is not defined."""
    if draws is None:
        return dict.fromkeys(Estimate.__slots__)
    return estimate(draws, prob).to_json()


def warn(posterior: Posterior, estimates: Mapping[str, Estimate]) -> tuple[Notice, ...]:
    """The warnings of a fit: those of its data first, then those of its draws."""
    return (*posterior.encoding.warnings, *notices(estimates, posterior.statistics, posterior))


def explained_variance(posterior: Posterior) -> tuple[Float, Float, dict[str, Float]] | None:
    """Draws (chain, draw) of the marginal and the conditional R2, and of each factor's share of the residual variance
    (ICC); None where the residual variance has no definition.

    The variance of x'b over the rows, that of z'u averaged over the rows (tr(Phi E[zz'])) and the residual variance on
    the scale of the link are compared, after Nakagawa, Johnson and Schielzeth (2017).
    """
    fixed = np.einsum("cdi,ij,cdj->cd", posterior.population, posterior.x_covariance, posterior.population)
    random = {
        name: np.einsum("cdij,ij->cd", of.covariance, of.z_moment) for name, of in posterior.factors.items()
    }
    grouped = sum(random.values(), np.zeros_like(fixed))
    residual = _residual_variance(posterior, fixed + grouped)
    if residual is None:
        return None
    total = fixed + grouped + residual
    icc = {name: share / (grouped + residual) for name, share in random.items()}
    return fixed / total, (fixed + grouped) / total, icc


_LATENT_VARIANCE = {"logit": np.pi**2 / 3, "probit": 1.0, "cloglog": np.pi**2 / 6}
"""Variances of the distributions whose thresholds the links of probabilities are."""


def _residual_variance(posterior: Posterior, explained: Float) -> Float | None:
    """Variance of a response given its linear predictor, on the scale of the link; (chain, draw).

    Under a log link it is log(1 + variance / mean^2), the mean taken over rows and groups (Nakagawa et al. 2017,
    table 2); an offset leaves no such mean. Without a sigma, because standard errors are known, there is none either.
    """
    family, parameters = posterior.family, posterior.parameters
    if family.link in _LATENT_VARIANCE:
        return np.full_like(explained, _LATENT_VARIANCE[family.link])
    if any(name not in parameters for name in family.parameters):
        return None
    if family.link == "identity":
        return family.variance(np.zeros_like(explained), parameters)
    if posterior.encoding.structure.offsets:
        return None
    log_mean = posterior.population @ posterior.x_mean + 0.5 * explained
    mean = np.exp(np.clip(log_mean, -300.0, 300.0))
    return np.asarray(np.log1p(family.variance(mean, parameters) / mean**2))


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
