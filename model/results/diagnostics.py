"""What the diagnostics of a fit say together: the worst of each, and the warnings that they deserve."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from model.errors import Notice
from model.frame.design import Float
from model.results.convergence import FEWEST_DRAWS
from model.results.estimate import Estimate

if TYPE_CHECKING:
    from model.results.posterior import Posterior

R_HAT_LIMIT = 1.01
ESS_PER_CHAIN_LIMIT = 100
PARETO_K_LIMIT = 0.7
_BOUNDED = 10.0
_BEYOND = 1e100
_MINOR = 0.01
"""Share of draws around minor modes from which they are worth a word."""
SEPARATION_LIMIT = 3.0
"""Posterior sd, on the scale of the link, of the effect of one sd of a predictor."""


def pareto_k(log_weights: Float) -> float:
    """Pareto k-hat of importance weights (Vehtari et al. 2024): above 0.7 they say too little about their target.

    Where the largest weight is less than ten times their mean there is no heavy tail, and a Pareto distribution that
    is fitted to the tail all the same can have any shape; k is 0 then. (Of 4,000 weights with k = 0.5 the largest is
    about 60 times the mean.)
    """
    from arviz_stats.base.array import array_stats as az

    weights = np.exp(np.ravel(log_weights) - np.max(log_weights))
    if _BOUNDED * weights.mean() > 1.0:
        return 0.0
    _, k = az.psislw(-np.asarray(log_weights).ravel())
    return float(k)


def overall(estimates: Mapping[str, Estimate], statistics: Mapping[str, Any]) -> dict[str, Any]:
    """The worst of each diagnostic over all parameters, beside the sampler's own statistics."""

    def worst(name: str, pick: Any) -> float | None:
        values = [getattr(e, name) for e in estimates.values() if getattr(e, name) is not None]
        return pick(values) if values else None

    return {
        "r_hat_max": worst("r_hat", max),
        "ess_bulk_min": worst("ess_bulk", min),
        "ess_tail_min": worst("ess_tail", min),
        "divergences": int(statistics.get("divergences") or 0),
        "pareto_k": statistics.get("pareto_k"),
        **{k: v for k, v in statistics.items() if k not in ("divergences", "pareto_k")},
    }


def notices(
    estimates: Mapping[str, Estimate], statistics: Mapping[str, Any], posterior: "Posterior"
) -> tuple[Notice, ...]:
    """The structured warnings that a finished fit deserves."""
    found = [
        *_numbers(estimates, posterior.draws),
        *_convergence(estimates, posterior.chains),
        *_sampler(statistics, posterior),
        *_boundary(estimates, posterior),
        *_separation(posterior),
    ]
    return tuple(found)


def _numbers(estimates: Mapping[str, Estimate], draws: int) -> Iterable[Notice]:
    """Figures that are no numbers, or beyond all that data are about."""
    lost = tuple(name for name, e in estimates.items() if _is_lost(e, draws))
    if lost:
        message = (
            "Figures of these parameters cannot be computed, or are of a size that no data have: their posterior may be"
            " improper, so that no draws describe it."
        )
        advice = (
            "Give the coefficients proper priors, for instance normal(0, 10), and look at units and weights."
        )
        yield Notice("no_numbers", message, "serious", lost, advice)


def _is_lost(e: Estimate, draws: int) -> bool:
    figures = (e.mean, e.sd, e.median, e.lower, e.upper)
    if not all(np.isfinite(figures)) or max(map(abs, figures)) > _BEYOND:
        return True
    return e.sd > 0 and draws >= FEWEST_DRAWS and None in (e.r_hat, e.ess_bulk, e.ess_tail)


def _convergence(estimates: Mapping[str, Estimate], chains: int) -> Iterable[Notice]:
    high = tuple(name for name, e in estimates.items() if e.r_hat is not None and e.r_hat > R_HAT_LIMIT)
    if high:
        message = f"r_hat is above {R_HAT_LIMIT}: the chains do not agree."
        yield Notice(
            "high_r_hat", message, "serious", high, "Sample longer (warmup, draws), or simplify the model."
        )
    limit = ESS_PER_CHAIN_LIMIT * chains
    low = tuple(
        name
        for name, e in estimates.items()
        if min((x for x in (e.ess_bulk, e.ess_tail) if x is not None), default=limit) < limit
    )
    if low:
        message = f"The effective sample size is below {limit}: means and intervals of these parameters are imprecise."
        yield Notice("low_ess", message, "warning", low, "Ask for more draws.")


def _sampler(statistics: Mapping[str, Any], posterior: "Posterior") -> Iterable[Notice]:
    total = posterior.chains * posterior.draws
    if statistics.get("divergences"):
        message = (
            f"{statistics['divergences']} of {total} transitions diverged: the posterior may be biased there."
        )
        yield Notice(
            "divergences", message, "serious", (), "Raise target_accept (0.95, 0.99), or use tighter priors."
        )
    if statistics.get("max_tree_depth_hits"):
        message = (
            f"{statistics['max_tree_depth_hits']} of {total} transitions reached the maximal tree depth."
        )
        yield Notice(
            "max_tree_depth", message, "info", (), "Raise max_tree_depth if the effective sample size is low."
        )
    bfmi = statistics.get("e_bfmi_min")
    if bfmi is not None and bfmi < 0.3:
        message = f"E-BFMI is {bfmi:.2f} (below 0.3): the sampler explores the tails of the posterior slowly."
        yield Notice("low_ebfmi", message, "warning", (), "Use tighter priors on scales, or sample longer.")
    minor = statistics.get("minor_modes")
    if minor is not None and minor > _MINOR:
        message = (
            f"The posterior has separate modes: {100 * minor:.2g}% of the draws lie around another one than most do. "
            "All are covered, but a mean between modes describes none of them."
        )
        advice = "Look at the draws. Centered covariates or tighter priors may leave one mode."
        yield Notice("several_modes", message, "warning", (), advice)
    k = statistics.get("pareto_k")
    if k is not None and k > PARETO_K_LIMIT:
        message = f"Pareto k-hat of the proposal is {k:.2f} (above {PARETO_K_LIMIT})."
        yield Notice("high_pareto_k", message, "serious", (), "Use the nuts method for this model.")


def _boundary(estimates: Mapping[str, Estimate], posterior: "Posterior") -> Iterable[Notice]:
    """An sd is near its boundary when zero is as likely as its bulk: the density does not fall towards zero."""
    near = []
    for structure in posterior.encoding.factors:
        sd = posterior.factors[structure.name].sd
        for j, coefficient in enumerate(structure.coefficients):
            name = f"sd[{structure.name}][{coefficient}]"
            # Of a half-normal 13% lies below a quarter of its median; of a posterior away from zero next to nothing.
            if np.mean(sd[:, :, j] < 0.25 * estimates[name].median) > 0.05:
                near.append(name)
    if near:
        message = "The data cannot tell these standard deviations from zero."
        advice = "Their priors decide how small they are; a simpler group-level structure may do."
        yield Notice("sd_near_boundary", message, "info", tuple(near), advice)


def _separation(posterior: "Posterior") -> Iterable[Notice]:
    """Coefficients that run away: under flat priors those of separated counts have no finite mode."""
    if not posterior.family.counts:
        return
    spread = posterior.population.std(axis=(0, 1)) * np.sqrt(np.diagonal(posterior.x_covariance))
    # One sd of the predictor changes the link of the mean by more than its posterior could leave open.
    far = [
        f"b[{name}]"
        for name, value in zip(posterior.encoding.coefficients, spread, strict=True)
        if value > SEPARATION_LIMIT
    ]
    if far:
        message = (
            "The data separate the responses perfectly, so nothing keeps these coefficients from infinity."
        )
        advice = "Give them a proper prior, for instance normal(0, 2.5)."
        yield Notice("separation", message, "serious", tuple(far), advice)
