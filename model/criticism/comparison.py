"""Several models of the same data, compared by how well each predicts rows that it has not seen.

Differences and their standard errors are those of R's `loo_compare`, weights those of Yao et al. (2018).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from model.criticism.loo import Loo
from model.criticism.training import row_numbers
from model.errors import Issue, Notice
from model.family import Family
from model.frame.design import Design, Float
from model.frame.learnt import Encoding
from model.subsample import Total, total


@dataclass(frozen=True, slots=True)
class Observed:
    """What must be the same in all fits that are compared: which rows they use, and what was seen there."""

    rows: Float  # (row,), numbers of the rows in the data as they were sent
    response: str
    y: Float  # (row,)
    trials: Float  # (row,); one where the model knows none
    weights: Float  # (row,); one where the model knows none

    @classmethod
    def of(cls, encoding: Encoding, design: Design) -> "Observed":
        """The observations of a fit; the design has the training response."""
        assert design.y is not None
        one = np.ones(design.rows)
        return cls(
            row_numbers(encoding).astype(np.float64),
            encoding.response,
            design.y,
            one if design.trials is None else design.trials,
            one if design.weights is None else design.weights,
        )

    def issues(self, first: "Observed", place: int) -> list[Issue]:
        """Why the fit at a place of the list cannot be compared with the first; an empty list when it can."""

        def differ(message: str) -> list[Issue]:
            return [Issue("different-data", message, f"/fits/{place}")]

        if not np.array_equal(self.rows, first.rows):
            counts = f"{len(self.rows)} rows, the first {len(first.rows)}"
            missing = "; rows with missing values are left out by each model for itself"
            return differ(f"The fit is of other rows than the first: it uses {counts}{missing}.")
        pairs = {
            f"responses ({self.response}, in the first {first.response})": (self.y, first.y),
            "trials": (self.trials, first.trials),
            "weights": (self.weights, first.weights),
        }
        found = []
        for name, (mine, theirs) in pairs.items():
            if len(where := np.flatnonzero(mine != theirs)):
                row = int(self.rows[where[0]])
                found += differ(
                    f"The {name} differ from those of the first fit in {len(where)} rows (first: {row})."
                )
        return found


@dataclass(frozen=True, slots=True)
class Standing:
    """One model among others: its distance to the best, and its part in the best mixture of all."""

    place: int
    """Where it was in the list."""
    difference: Total
    """Of elpd, from the best; zero or less."""
    weight: float


def compare(results: Sequence[Loo]) -> tuple[Standing, ...]:
    """Order models of the same data from the best to the worst by their elpd."""
    order = sorted(range(len(results)), key=lambda place: -results[place].elpd_total.estimate)
    best = results[order[0]]
    # From the best on, so that no last digit depends on the order of the list.
    weights = stacking_weights(np.stack([results[place].elpd for place in order]))
    return tuple(
        Standing(
            place,
            total(results[place].elpd - best.elpd, results[place].rough - best.rough, best.sampled),
            float(weight),
        )
        for place, weight in zip(order, weights, strict=True)
    )


def stacking_weights(elpd: Float) -> Float:
    """Weights (model,) of the mixture of models that predicts best the rows of elpd (model, row), left out in turn.

    They maximize the sum over rows of the log of the mixture's densities (Yao, Vehtari, Simpson and Gelman 2018).
    """
    density = np.exp(elpd - elpd.max(axis=0))
    count = len(elpd)

    def loss(weights: Float) -> tuple[float, Float]:
        mixed = np.maximum(weights @ density, np.finfo(np.float64).tiny)
        return -float(np.log(mixed).mean()), -(density / mixed).mean(axis=1)

    found = minimize(
        loss,
        np.full(count, 1.0 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * count,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1.0, "jac": np.ones_like},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    weights = np.clip(found.x, 0.0, 1.0)
    return np.asarray(weights / weights.sum())


def notices(families: Sequence[Family], results: Sequence[Loo]) -> tuple[Notice, ...]:
    """What a reader of a comparison should know."""
    found = list(dict.fromkeys(notice for result in results for notice in result.notices))
    if len({family.counts for family in families}) > 1:
        message = "Some models give probabilities of counts and others densities, which are not on one scale."
        advice = "Compare models for counts with one another."
        found.append(Notice("densities_and_probabilities", message, "serious", (), advice))
    return tuple(found)
