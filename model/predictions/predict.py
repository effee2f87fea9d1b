"""Predictions for new rows: the linear predictor, the expected value, or a new response, in rstantools' words.

Everything is computed from the posterior's draws with NumPy, some rows at a time, so that neither many rows nor many
levels need much memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model.errors import InvalidModel, Issue, Notice
from model.frame.design import Design, FactorDesign, Float
from model.frame.encoding import encode
from model.frame.levels import listing
from model.frame.table import Table
from model.predictions.group_terms import GroupEffects, kept_effects
from model.predictions.row_contrasts import ContrastDraws, RowContrast, contrast_issues
from model.results.convergence import sorted_quantile
from model.results.factor_levels import label
from model.results.posterior import Posterior
from model.streams import stream

Kind = Literal["linpred", "epred", "predict"]
NewLevels = Literal["error", "sample", "population"]

_CELLS = 1 << 16
"""Rows times draws that are computed together: so few that they stay in the processor's caches."""


@dataclass(frozen=True)
class Prediction:
    """What is predicted, of which rows; `make` checks it first.

    `kept` holds for each factor whose effects count the numbers of its coefficients.
    """

    posterior: Posterior
    design: Design
    kind: Kind
    kept: Mapping[str, tuple[int, ...]]
    new_levels: NewLevels
    seed: int

    @classmethod
    def make(
        cls,
        posterior: Posterior,
        design: Design,
        *,
        kind: Kind = "epred",
        group_effects: GroupEffects = "all",
        new_levels: NewLevels = "error",
        seed: int | None = None,
    ) -> "Prediction":
        """Check what is asked; without `seed` the fit's own is used, so equal questions get equal answers.

        The expected value of `y | trials(n)` is the expected count where the rows have n, as in brms, and the
        probability where they do not; that of `cbind(s, f)` is the probability. New counts need the trials.
        Raises InvalidModel: unseen levels (`unknown-level`, unless `new_levels` says what to do with them), terms in
        `group_effects` that the model does not have, and rows that do not say how their responses scatter.
        """
        kept = kept_effects(posterior.encoding, group_effects)
        if new_levels == "error":
            _refuse_new_levels([factor for factor in design.factors if factor.name in kept])
        if kind == "predict":
            _refuse_without_scale(posterior, design)
        return cls(posterior, design, kind, kept, new_levels, posterior.seed if seed is None else seed)

    @cached_property
    def unknown(self) -> NDArray[np.bool_]:
        """The rows of which the training data say nothing, since columns of X were left out: (row,)."""
        known = self.design.estimability
        return np.zeros(self.design.rows, dtype=np.bool_) if known is None else known.unknown

    def unknown_contrast(self, contrast: RowContrast) -> bool:
        """Whether the training data say nothing of a contrast.

        One that is linear in the linear predictor may be known though its rows are not.
        """
        known = self.design.estimability
        if known is None:
            return False
        weights = {row: weight for row, weight in contrast.weights.items() if weight}
        if self.kind == "linpred" or self.posterior.family.link == "identity":
            return known.unknown_sum(weights)
        return bool(self.unknown[list(weights)].any())

    def notices(self, contrasts: Sequence[RowContrast] = ()) -> tuple[Notice, ...]:
        """What is doubtful about the rows, and which of them and of the contrasts have no figures."""
        return (*self.design.notices, *_not_estimable(self, contrasts))

    def shown(self, start: int, block: Float) -> Float:
        """The draws (row, draw) of a block, NaN where the training data say nothing."""
        hidden = self.unknown[start : start + len(block)]
        return np.where(hidden[:, None], np.nan, block) if hidden.any() else block

    def shown_contrasts(self, between: ContrastDraws) -> Float:
        """The draws (contrast, draw) of contrasts, NaN where the training data say nothing."""
        hidden = np.array([self.unknown_contrast(contrast) for contrast in between.contrasts], dtype=np.bool_)
        return np.where(hidden[:, None], np.nan, between.draws) if hidden.any() else between.draws

    def draws(self) -> Float:
        """Draws (chain, draw, row) of all rows, NaN where the training data say nothing."""
        posterior, rows = self.posterior, self.design.rows
        drawn = np.empty((rows, posterior.chains * posterior.draws))
        for start, block in self.blocks():
            drawn[start : start + len(block)] = self.shown(start, block)
        return np.moveaxis(drawn.reshape(rows, posterior.chains, posterior.draws), 0, 2)

    def blocks(self) -> Iterator[tuple[int, Float]]:
        """Some rows at a time: the number of the first, and draws (row, draw), those of all chains together.

        Contrasts are made of them; rows that are unknown are among them, and `shown` hides them.
        """
        posterior = self.posterior
        draws = posterior.chains * posterior.draws
        population = posterior.population.reshape(draws, -1).T
        step = max(1, _CELLS // draws)
        for start in range(0, self.design.rows, step):
            yield start, self._block(start, min(start + step, self.design.rows), population)

    @np.errstate(over="ignore", invalid="ignore")
    def _block(self, start: int, stop: int, population: Float) -> Float:
        """Draws (row, draw) of some rows; those beyond what a double holds are infinite."""
        design = self.design.take(np.arange(start, stop))
        eta = design.x @ population
        eta += design.offset[:, None]
        for factor in design.factors:
            if factor.name in self.kept:
                self._add_group_effects(eta, factor, start)
        return self._of_kind(eta, design, start)

    def _add_group_effects(self, eta: Float, factor: FactorDesign, start: int) -> None:
        """Add z'u of one factor to the linear predictor (row, draw), in place."""
        places = factor.index.tolist()
        coefficients = list(self.kept[factor.name])
        whole = len(coefficients) == factor.z.shape[1]
        z = factor.z if whole else factor.z[:, coefficients]
        known, new = len(factor.levels), self.posterior.new_levels[factor.name]
        used = sorted({place for place in places if 0 <= place < known})
        deviations = dict(zip(used, self.posterior.levels[factor.name].draws(used), strict=True))
        for row, place in enumerate(places):
            u = deviations.get(place)
            if u is None:
                if self.new_levels != "sample":
                    continue
                # A null level is a group of its own in every row: nothing says that two nulls are the same group.
                name = ("", start + row) if place < 0 else factor.new_levels[place - known]
                u = new.draw(name, self.seed)
                if place >= 0:
                    deviations[place] = u
            eta[row] += z[row] @ (u if whole else u[coefficients])

    def _of_kind(self, eta: Float, design: Design, start: int) -> Float:
        if self.kind == "linpred":
            return eta
        family = self.posterior.family
        mean = family.inverse_link(eta)
        if self.kind == "epred":
            if design.trials is None or self.posterior.encoding.parsed.response.cbind is not None:
                return mean
            return mean * design.trials[:, None]
        own = {name: draws.ravel() for name, draws in self.posterior.parameters.items()}
        responses = np.empty_like(mean)
        for row, expected in enumerate(mean):
            trials = None if design.trials is None else design.trials[row : row + 1]
            if design.standard_error is not None:
                own["sigma"] = design.standard_error[row : row + 1]
            # A row's noise is its own, so it does not matter how many rows are predicted beside it.
            source = stream(self.seed, "predict", start + row)
            responses[row] = family.draw(source, expected, own, trials)
        return responses


def predict(
    posterior: Posterior,
    table: Table,
    *,
    kind: Kind = "epred",
    group_effects: GroupEffects = "all",
    new_levels: NewLevels = "error",
    seed: int | None = None,
    prob: float = 0.95,
    contrasts: Sequence[RowContrast] = (),
) -> dict[str, Any]:
    """Predict each row of `table`: mean, sd, median and central interval, and the same of contrasts between rows.

    Raises InvalidModel: columns that lack, contrasts of rows that are not there, and what `Prediction.make` refuses.
    """
    if issues := contrast_issues(contrasts, table.rows):
        raise InvalidModel(issues)
    design = encode_rows(posterior, table, kind=kind, group_effects=group_effects)
    made = Prediction.make(
        posterior, design, kind=kind, group_effects=group_effects, new_levels=new_levels, seed=seed
    )
    between = ContrastDraws(contrasts, posterior.chains * posterior.draws)
    found = []
    for start, block in made.blocks():
        found.append(figures(made.shown(start, block), prob))
        between.add(start, block)
    answer: dict[str, Any] = {"kind": kind, "prob": prob}
    answer |= {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    if contrasts:
        answer["contrasts"] = summarize_contrasts(contrasts, made.shown_contrasts(between), prob)
    answer["warnings"] = [asdict(notice) for notice in made.notices(contrasts)]
    return answer


def encode_rows(
    posterior: Posterior, table: Table, *, kind: Kind = "epred", group_effects: GroupEffects = "all"
) -> Design:
    """The design of rows to be predicted: of their columns only those on which the answer depends.

    Raises InvalidModel for terms that the model does not have, and where the rows cannot be encoded.
    """
    kept = kept_effects(posterior.encoding, group_effects)
    return encode(
        posterior.encoding,
        table,
        response=False,
        factors=kept,
        trials=kind != "linpred",
        errors=kind == "predict",
    )


def summarize_contrasts(contrasts: Sequence[RowContrast], draws: Float, prob: float) -> list[dict[str, Any]]:
    """Each contrast's name, its figures, and the posterior probability that it is above zero; NaN where draws are."""
    above = np.where(np.isnan(draws).any(axis=1), np.nan, (draws > 0).mean(axis=1))
    columns = figures(draws, prob) | {"probability_positive": above}
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [
        {"name": contrast.name, **dict(zip(columns, row, strict=True))}
        for contrast, row in zip(contrasts, rows, strict=True)
    ]


def _not_estimable(made: Prediction, contrasts: Sequence[RowContrast]) -> Iterator[Notice]:
    rows = np.flatnonzero(made.unknown).tolist()
    names = [contrast.name for contrast in contrasts if made.unknown_contrast(contrast)]
    encoding = made.posterior.encoding
    reason = (
        f"the training data cannot tell them, as columns of X were left out ({listing(encoding.aliased, 5)})"
        " on which they depend"
    )
    advice = (
        "Ask for rows like those that were fitted, or fit again without the terms that cannot be told apart."
    )
    if rows:
        message = f"{len(rows)} of {made.design.rows} rows have no figures ({listing(rows)}): {reason}."
        yield Notice("not_estimable", message, "warning", advice=advice)
    if names:
        message = f"{len(names)} of {len(contrasts)} contrasts have no figures ({listing(names)}): {reason}."
        yield Notice("not_estimable", message, "warning", advice=advice)


def predicted_draws(
    posterior: Posterior,
    design: Design,
    *,
    kind: Kind = "epred",
    group_effects: GroupEffects = "all",
    new_levels: NewLevels = "error",
    seed: int | None = None,
) -> Float:
    """Draws (chain, draw, row) of what `kind` asks for; see `Prediction.make`."""
    made = Prediction.make(
        posterior, design, kind=kind, group_effects=group_effects, new_levels=new_levels, seed=seed
    )
    return made.draws()


@np.errstate(over="ignore", invalid="ignore")
def figures(draws: Float, prob: float) -> dict[str, Float]:
    """Mean, sd, median and central interval of each row of draws (row, draw), as arrays (row,)."""
    in_order = np.sort(draws, axis=1)
    tail = (1 - prob) / 2
    mean = draws.mean(axis=1)
    centered = draws - mean[:, None]
    squares = np.einsum("rd,rd->r", centered, centered)
    return {
        "mean": mean,
        "sd": np.sqrt(squares / max(1, draws.shape[1] - 1)),
        "median": sorted_quantile(in_order, 0.5),
        "lower": sorted_quantile(in_order, tail),
        "upper": sorted_quantile(in_order, 1 - tail),
    }


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
        message = (
            "New counts need the trials of each row: the columns of trials(n), or both sides of cbind(s, f)."
        )
        raise InvalidModel(Issue("response-mismatch", message, "/kind"))
    known_error = posterior.encoding.parsed.response.addition("se")
    if known_error is not None and design.standard_error is None:
        names = listing(sorted(posterior.encoding.error_names))
        message = (
            f"The formula says the standard error of each row, se({known_error}), and new responses scatter by it:"
            f" the rows need {names} too."
        )
        raise InvalidModel(Issue("response-mismatch", message, "/kind"))
