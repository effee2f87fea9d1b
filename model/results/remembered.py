"""Draws of levels that were made once and are kept, within a budget: the levels that were asked for last.

So rows of the same levels are predicted again and again at the price of reading them.
"""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from model.frame.design import Float
from model.results.deviations import Deviations


class Remembered:
    """Deviations that remember the draws of some levels; safe to use from many threads."""

    def __init__(self, deviations: Deviations, max_bytes: int) -> None:
        self._deviations = deviations
        self._max_bytes = max_bytes
        self._kept: OrderedDict[int, Float] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def draw(self, levels: Sequence[int]) -> Sequence[Float]:
        """Draws (coef, draw) of each level with these numbers."""
        with self._lock:
            found = {level: self._kept[level] for level in levels if level in self._kept}
            for level in found:
                self._kept.move_to_end(level)
        if absent := [level for level in dict.fromkeys(levels) if level not in found]:
            drawn = dict(zip(absent, self._deviations.draw(absent), strict=True))
            self._keep(drawn)
            found |= drawn
        return [found[level] for level in levels]

    def means(self, most: int) -> Float:
        """Posterior means (level, coef) of all levels."""
        return self._deviations.means(most)

    def _keep(self, drawn: dict[int, Float]) -> None:
        with self._lock:
            for level, draws in drawn.items():
                if level not in self._kept:
                    # A copy, since a part of an array keeps all of it.
                    self._kept[level] = draws.copy()
                    self._bytes += draws.nbytes
                while self._bytes > self._max_bytes:
                    _, dropped = self._kept.popitem(last=False)
                    self._bytes -= dropped.nbytes
