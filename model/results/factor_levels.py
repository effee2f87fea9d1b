"""The levels of one factor as answers need them: their draws, their labels, their order and their means.

What is the same for every answer is made once, when it is first asked for.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.frame.design import Float, Level
from model.language.spelling import backticked
from model.results.deviations import Deviations

MEAN_NUMBERS = 1 << 24
"""Conditional means that the posterior means of all levels of a factor are computed from, at most."""

ORDERS = 4
"""Orders of all levels that are kept."""

Shifts = tuple[tuple[int, float], ...]


class FactorLevels:
    """All levels of one factor of a fit."""

    def __init__(self, levels: Sequence[Level], deviations: Deviations) -> None:
        self._levels = levels
        self._deviations = deviations
        self._orders: dict[Shifts, NDArray[np.intp]] = {}

    def draws(self, levels: Sequence[int]) -> Sequence[Float]:
        """Draws (coef, draw) of each level with these numbers, those of all chains one after the other."""
        return self._deviations.draw(levels)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Each level as one text."""
        return tuple(map(label, self._levels))

    @cached_property
    def folded(self) -> tuple[str, ...]:
        """The labels as a search sees them, whatever their case."""
        return tuple(text.casefold() for text in self.labels)

    @cached_property
    def by_value(self) -> NDArray[np.intp]:
        """The numbers of the levels in the order of their values: numbers by size, text by code point."""
        return np.array(sorted(range(len(self._levels)), key=self._levels.__getitem__), dtype=np.intp)

    @cached_property
    def means(self) -> Float:
        """Posterior means (level, coef) of the deviations of all levels."""
        return self._deviations.means(MEAN_NUMBERS)

    def by_mean(self, shifts: Shifts) -> NDArray[np.intp]:
        """Levels and coefficients (2, entry), by posterior mean; the last few orders are kept.

        `shifts` are the coefficients that take part, each with what is added to its deviations.
        """
        found = self._orders.get(shifts)
        if found is None:
            coefficients, added = np.array([j for j, _ in shifts]), np.array([shift for _, shift in shifts])
            order = np.argsort(self.means[:, coefficients] + added, axis=None, kind="stable")
            found = np.stack([order // len(shifts), coefficients[order % len(shifts)]])
            self._orders = dict(list(self._orders.items())[1 - ORDERS :]) | {shifts: found}
        return found


def label(level: Level) -> str:
    """A level as one text: its values joined by a colon.

    In a cell a value that has a colon or a backtick of its own stands in backticks, so that no two cells look alike.
    """
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in level]
    return texts[0] if len(texts) == 1 else ":".join(map(_quoted, texts))


def _quoted(text: str) -> str:
    return backticked(text) if ":" in text or "`" in text else text
