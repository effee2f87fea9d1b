"""What a fit reports: population coefficients, each factor's sd, correlation and covariance, R2, ICC, diagnostics.

The dictionaries here are the HTTP contract's, field by field; they hold plain numbers, never NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from model.errors import Notice
from model.frame.design import Float
from model.frame.grouping import Factor
from model.results.diagnostics import notices, overall
from model.results.estimate import Estimate, estimates
from model.results.posterior import Posterior

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
    sampled = scalars(posterior)
    covariances: dict[tuple[str, int, int], Float] = {}
    for factor in posterior.encoding.factors:
        phi = posterior.factors[factor.name].covariance
        covariances |= {(factor.name, i, j): phi[:, :, i, j] for i, j in _elements(factor)}
    explained = explained_variance(posterior)
    shares = {} if explained is None else {"marginal": explained[0], "conditional": explained[1]}
    icc = {} if explained is None else explained[2]
    # All at once: judging twenty quantities costs little more than judging one.
    draws = [*sampled.values(), *covariances.values(), *shares.values(), *icc.values()]
    found = iter(estimates(np.stack(draws), prob))
    # Each of these takes its own share: `zip` stops before it asks for more than the names of its first argument.
    of, of_covariance = dict(zip(sampled, found, strict=False)), dict(zip(covariances, found, strict=False))
    of_share, of_icc = dict(zip(shares, found, strict=False)), dict(zip(icc, found, strict=False))
    return {
        "prob": prob,
        "population": [{"name": n, **of[f"b[{n}]"].to_json()} for n in posterior.encoding.coefficients],
        "groups": {f.name: _group(f, of, of_covariance) for f in posterior.encoding.factors},
        "family_parameters": [{"name": n, **of[n].to_json()} for n in posterior.parameters],
        "r2": {
            name: of_share[name].to_json() if name in of_share else dict.fromkeys(Estimate.__slots__)
            for name in ("marginal", "conditional")
        },
        "icc": {name: share.to_json() for name, share in of_icc.items()},
        "diagnostics": overall(of, posterior.statistics),
        "warnings": [asdict(n) for n in warn(posterior, of)],
    }


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


def _elements(factor: Factor) -> list[tuple[int, int]]:
    """The elements of a factor's covariance matrix on and above the diagonal that the model does not fix at zero."""
    size, correlated = len(factor.coefficients), set(pairs(factor.blocks))
    return [(i, j) for i in range(size) for j in range(i, size) if i == j or (i, j) in correlated]


def _group(
    factor: Factor,
    of: Mapping[str, Estimate],
    of_covariance: Mapping[tuple[str, int, int], Estimate],
) -> Json:
    names = factor.coefficients
    return {
        "levels": len(factor.levels),
        "coefficients": list(names),
        "sd": [{"name": n, **of[f"sd[{factor.name}][{n}]"].to_json()} for n in names],
        "correlation": [
            {
                "names": [names[i], names[j]],
                **of[f"cor[{factor.name}][{names[i]},{names[j]}]"].to_json(),
            }
            for i, j in pairs(factor.blocks)
        ],
        "covariance": [
            {"names": [names[i], names[j]], **of_covariance[factor.name, i, j].to_json()}
            for i, j in _elements(factor)
        ],
    }
