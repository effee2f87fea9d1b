"""Contrasts of predictions: weighted sums of rows, such as the difference of two, with their own posterior.

The rows of a prediction share their draws, so a contrast is far more certain than its rows' intervals suggest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.errors import Issue
from model.frame.design import Float


@dataclass(frozen=True, slots=True)
class RowContrast:
    """A weighted sum of rows: `weights` by the rows' numbers, from 0."""

    name: str
    weights: Mapping[int, float]


class ContrastDraws:
    """The draws (contrast, draw) of some contrasts, added up while the rows' draws come by."""

    def __init__(self, contrasts: Sequence[RowContrast], draws: int) -> None:
        self.contrasts = contrasts
        self.draws = np.zeros((len(contrasts), draws))

    @np.errstate(over="ignore", invalid="ignore")
    def add(self, start: int, block: Float) -> None:
        """Add the rows from `start` on, draws (row, draw)."""
        for number, contrast in enumerate(self.contrasts):
            for row, weight in contrast.weights.items():
                if start <= row < start + len(block):
                    self.draws[number] += weight * block[row - start]


def contrast_issues(contrasts: Sequence[RowContrast], rows: int) -> list[Issue]:
    """What is wrong with contrasts of so many rows: those of rows that are not there, or of none."""
    issues = []
    for number, contrast in enumerate(contrasts):
        pointer = f"/contrasts/{number}/weights"
        if not any(contrast.weights.values()):
            issues.append(Issue("invalid-value", "A contrast needs a weight that is not 0.", pointer))
        for row in contrast.weights:
            if not 0 <= row < rows:
                message = f"There is no row {row}; the rows are 0 to {rows - 1}."
                issues.append(Issue("unknown-row", message, f"{pointer}/{row}"))
    return issues
