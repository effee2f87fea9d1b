"""Which rows the training data can tell something of, where columns of X were left out as combinations of others.

A row is estimable if the combinations hold in it, too; its linear predictor is then the same whichever of the columns
are left out. Source: Searle (1971), Linear Models, section 5.4; `nonEst` of R's emmeans asks the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.frame.rank import Alias

Float = NDArray[np.float64]
_ROUNDING = 1e-9
"""What a combination may be off by rounding, of the sum of its terms' sizes."""


@dataclass(frozen=True, slots=True)
class Combination:
    """A column of X that was left out, as a constant and a weighted sum of columns that were kept.

    `column` and `of` are places in X before any column is left out; `slack` is how far the training rows are off.
    """

    column: int
    of: tuple[int, ...]
    weights: tuple[float, ...]
    constant: float
    slack: float

    def to_json(self) -> dict[str, Any]:
        """The combination as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Combination":
        """The inverse of `to_json`."""
        fields = {**document, "of": tuple(document["of"]), "weights": tuple(document["weights"])}
        return cls(**fields)


def learn_combinations(aliases: Sequence[Alias], x: Float) -> tuple[Combination, ...]:
    """The combinations that were found in the training rows x (row, coef)."""
    found = [
        Combination(alias.column, tuple(alias.weights), tuple(alias.weights.values()), alias.constant, 0.0)
        for alias in aliases
    ]
    if not found:
        return ()
    slack = np.abs(_off(found, x)).max(axis=0).tolist()
    return tuple(replace(of, slack=most) for of, most in zip(found, slack, strict=True))


def _off(combinations: Sequence[Combination], x: Float) -> Float:
    columns, constants, weights = _arrays(combinations, x.shape[1])
    return x[:, columns] - constants - x @ weights


def _arrays(combinations: Sequence[Combination], width: int) -> tuple[list[int], Float, Float]:
    """The columns left out, the constants (combination,) and the weights (coef, combination)."""
    weights = np.zeros((width, len(combinations)))
    for number, of in enumerate(combinations):
        weights[list(of.of), number] = of.weights
    return [of.column for of in combinations], np.array([of.constant for of in combinations]), weights


@dataclass(frozen=True, slots=True)
class Estimability:
    """How far rows are off each combination, and how far rounding may put them; (row, combination) each."""

    off: Float
    allowed: Float

    @classmethod
    def of_rows(cls, combinations: Sequence[Combination], x: Float) -> "Estimability":
        """That of the rows of x (row, coef), before any column is left out."""
        columns, constants, weights = _arrays(combinations, x.shape[1])
        size = np.abs(x[:, columns]) + np.abs(constants) + np.abs(x) @ np.abs(weights)
        slack = np.array([combination.slack for combination in combinations])
        return cls(_off(combinations, x), _ROUNDING * size + 2.0 * slack)

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """The rows of which the training data say nothing: (row,)."""
        return np.asarray((np.abs(self.off) > self.allowed).any(axis=1))

    def unknown_sum(self, weights: Mapping[int, float]) -> bool:
        """Whether the training data say nothing of a weighted sum of rows: a difference may be known, its rows not."""
        rows, by = list(weights), np.array(list(weights.values()))
        return bool(np.any(np.abs(by @ self.off[rows]) > np.abs(by) @ self.allowed[rows]))

    def take(self, rows: NDArray[np.intp]) -> "Estimability":
        """Some rows, by their numbers."""
        return Estimability(self.off[rows], self.allowed[rows])
