"""Where the numbers of a training column lie: their mean, sd and range, and whether they are whole.

Conditional effects hold a predictor at its mean and vary it over its range, long after the rows are gone.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model.frame.column import Column


@dataclass(frozen=True, slots=True)
class Spread:
    """A numeric column over the rows used; in the column's own unit."""

    mean: float
    sd: float
    low: float
    high: float
    whole: bool

    def to_json(self) -> dict[str, Any]:
        """The spread as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Spread":
        """The inverse of `to_json`."""
        return cls(**document)


def spread_of(column: Column) -> Spread:
    """The spread of a numeric column without missing values."""
    values = column.values.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    # In units of the largest number, as sums and squares of numbers near the end of the range overflow.
    unit = max(abs(low), abs(high)) or 1.0
    relative = values / unit
    return Spread(
        mean=min(max(float(relative.mean()) * unit, low), high),
        sd=float(relative.std(ddof=1)) * unit if len(values) > 1 else 0.0,
        low=low,
        high=high,
        whole=column.integral() is not None,
    )
