"""Numbers along an axis: as many digits as tell one tick from the next, and no more."""

import math
from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axis import Axis
from matplotlib.ticker import Formatter, MaxNLocator


class Distinct(Formatter):
    """Writes ticks like `0.25`, `1,200`, `2e-09`; there is never an offset to add in one's head."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Write one number by itself."""
        return self.format_ticks([x])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Write all ticks of an axis."""
        gaps = [abs(b - a) for a, b in pairwise(values) if a != b]
        largest = max(map(abs, values), default=0.0)
        step = min(gaps, default=largest or 1.0)
        return [_write(value, step, largest) for value in values]


def _write(value: float, step: float, largest: float) -> str:
    if abs(value) < step / 1000:
        return "0"
    if step >= 1e-4 and largest < 1e6:
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        # A step of 0.25 has one digit more than its size tells.
        decimals += not math.isclose(round(step, decimals), step, rel_tol=1e-6)
        return f"{value:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")
    digits = max(1, math.ceil(math.log10(largest / step) + 1e-9) + 1)
    return f"{value:.{min(digits, 15)}g}".replace("-", "\N{MINUS SIGN}")


def number_ticks(axis: Axis, most: int, whole: bool = False) -> None:
    """Give an axis of numbers at most so many ticks."""
    locator = MaxNLocator(nbins=most, integer=whole, min_n_ticks=2, steps=[1, 2, 2.5, 5, 10])
    axis.set_major_locator(locator)
    axis.set_major_formatter(Distinct())
