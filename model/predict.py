"""Predictions for new rows: the linear predictor, the expected value, or a new response, in rstantools' words.

Everything is computed from the posterior's draws with NumPy; group-level effects of levels the fit has not seen are
drawn from the multivariate normal of each posterior draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from model.design import Design, FactorDesign, Float
from model.effects import draw_new_level
from model.encoding import encode
from model.errors import InvalidModel, Issue
from model.posterior import Posterior
from model.streams import stream
from model.summary import label
from model.table import Table

Kind = Literal["linpred", "epred", "predict"]
NewLevels = Literal["error", "sample", "population"]
GroupEffects = Literal["all", "none"] | Sequence[str]


def predict(
    posterior: Posterior,
    table: Table,
    *,
    kind: Kind = "epred",
    group_effects: GroupEffects = "all",
    new_levels: NewLevels = "error",
    prob: float = 0.95,
    seed: int | None = None,
    returns: Literal["summary", "draws"] = "summary",
) -> dict[str, Any]:
    """Predict each row of `table`: mean, sd, median and central interval, or the draws themselves (row, draw).

    Without `seed` the fit's own is used, so equal questions get equal answers.
    Raises InvalidModel: columns that lack, unseen levels (`unknown-level`, unless `new_levels` says what to do with
    them), and names in `group_effects` that the model does not have.
    """
    design = encode(posterior.encoding, table, response=False)
    draws = predicted_draws(
        posterior, design, kind=kind, group_effects=group_effects, new_levels=new_levels, seed=seed
    )
    answer: dict[str, Any] = {"kind": kind}
    if returns == "draws":
        answer["draws"] = draws.reshape(-1, design.rows).T.tolist()
    else:
        answer |= {"prob": prob, **_columns(draws, prob)}
    answer["warnings"] = [asdict(notice) for notice in design.notices]
    return answer


def predicted_draws(
    posterior: Posterior,
    design: Design,
    *,
    kind: Kind = "epred",
    group_effects: GroupEffects = "all",
    new_levels: NewLevels = "error",
    seed: int | None = None,
) -> Float:
    """Draws (chain, draw, row) of what `kind` asks for.

    The expected value of a binomial response is its expected count where the rows say their trials, as in brms, and
    its probability where they do not; new counts need the trials.
    """
    chosen = posterior.seed if seed is None else seed
    kept = _kept_factors(posterior, group_effects)
    if new_levels == "error":
        _refuse_new_levels([factor for factor in design.factors if factor.name in kept])
    eta = posterior.population @ design.x.T + design.offset
    for factor in design.factors:
        if factor.name in kept:
            _add_group_effects(eta, posterior, factor, new_levels, chosen)
    if kind == "linpred":
        return eta
    mean = posterior.family.inverse_link(eta)
    if kind == "epred":
        return mean if design.trials is None else mean * design.trials
    _refuse_without_scale(posterior, design)
    own = {name: draws[:, :, None] for name, draws in posterior.parameters.items()}
    return posterior.family.draw(stream(chosen, "predict"), mean, own, design.trials)


def _add_group_effects(
    eta: Float, posterior: Posterior, factor: FactorDesign, new_levels: NewLevels, seed: int
) -> None:
    """Add z'u of one factor to the linear predictor (chain, draw, row), in place; each level is drawn once."""
    known = len(factor.levels)
    used = np.unique(factor.index)
    in_fit = used[(used >= 0) & (used < known)]
    if len(in_fit):
        deviations = posterior.deviations(factor.name, in_fit)
        rows = np.flatnonzero((factor.index >= 0) & (factor.index < known))
        where = np.searchsorted(in_fit, factor.index[rows])
        for j in range(factor.z.shape[1]):
            eta[:, :, rows] += deviations[:, :, where, j] * factor.z[rows, j]
    if new_levels != "sample":
        return
    given = posterior.given(factor.name)
    for number in used[(used < 0) | (used >= known)]:
        rows = np.flatnonzero(factor.index == number)
        if number >= 0:
            u = draw_new_level(given, factor.name, factor.new_levels[number - known], seed)
            eta[:, :, rows] += u @ factor.z[rows].T
        else:
            # A null level is a group of its own in every row: nothing says that two nulls are the same group.
            for row in rows:
                u = draw_new_level(given, factor.name, ("", int(row)), seed)
                eta[:, :, row] += u @ factor.z[row]


def _kept_factors(posterior: Posterior, group_effects: GroupEffects) -> set[str]:
    names = [factor.name for factor in posterior.encoding.factors]
    if group_effects == "all":
        return set(names)
    if group_effects == "none":
        return set()
    unknown = [name for name in group_effects if name not in names]
    if unknown:
        message = f"The model has no group-level effects of {', '.join(unknown)}; it has: {', '.join(names) or 'none'}."
        raise InvalidModel(Issue("unknown-factor", message, "/group_effects"))
    return set(group_effects)


def _refuse_new_levels(factors: Sequence[FactorDesign]) -> None:
    issues = []
    for factor in factors:
        unseen = [label(level) for level in factor.new_levels]
        if np.any(factor.index < 0):
            unseen.append("null")
        if unseen:
            shown = ", ".join(unseen[:10]) + (f" and {len(unseen) - 10} more" if len(unseen) > 10 else "")
            message = (
                f'Levels that the fit has not seen: {shown}. "new_levels" can be "sample" or "population".'
            )
            issues.append(Issue("unknown-level", message, "/data", column=factor.name))
    if issues:
        raise InvalidModel(issues)


def _refuse_without_scale(posterior: Posterior, design: Design) -> None:
    """New responses need to know how they scatter, which some formulas leave to each row."""
    family = posterior.family
    if family.name == "binomial" and design.trials is None:
        message = "New counts need the trials of each row; the formula reads them where it is y | trials(n)."
        raise InvalidModel(Issue("response-mismatch", message, "/kind"))
    if any(name not in posterior.parameters for name in family.parameters):
        message = "The fit was told the standard error of each row; those of new rows are not known."
        raise InvalidModel(Issue("response-mismatch", message, "/kind"))


def _columns(draws: Float, prob: float) -> Mapping[str, list[float]]:
    tail = (1 - prob) / 2
    flat = draws.reshape(-1, draws.shape[-1])
    lower, median, upper = np.quantile(flat, [tail, 0.5, 1 - tail], axis=0)
    figures = {
        "mean": flat.mean(axis=0),
        "sd": flat.std(axis=0, ddof=1),
        "median": median,
        "lower": lower,
        "upper": upper,
    }
    return {name: values.tolist() for name, values in figures.items()}
