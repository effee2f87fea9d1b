"""The axis of a predictor in pictures of effects and lines, and the values at which other predictors stay."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from model.frame.levels import Value, level_label
from model.frame.spread import Spread
from service.plots import limits, style
from service.plots.text import fitted, fitted_all, legible, legible_all
from service.plots.ticks import number_ticks
from service.problems import Refusal

_MOST_NAMED = 8


def at_reference(effect: Mapping[str, Any]) -> str:
    """Say at which values the other predictors stay; empty if there are none."""
    reference = dict(effect["reference"])
    names = list(reference)[:_MOST_NAMED]
    parts = [
        f"{name} = {shown(reference[given])}" for given, name in zip(names, legible_all(names), strict=True)
    ]
    if others := len(reference) - len(names):
        parts.append(f"{others} more at their means or first levels")
    return f"Other predictors stay at {', '.join(parts)}. " if parts else ""


def unknown(effect: Mapping[str, Any]) -> str:
    """Say of how many values the data tell nothing; empty if there are none."""
    hidden = int(np.count_nonzero(~np.isfinite(effect["mean"])))
    return f"Nothing is known of {hidden} of {len(effect['mean'])} values. " if hidden else ""


def shown(value: Value) -> str:
    """Write a value of a predictor: numbers to four digits, all else as it is."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")
    return legible(level_label(value))


def refuse_crowded(name: str, place: Spread | Sequence[Value]) -> None:
    """Raise Refusal for a predictor with more levels than can stand side by side."""
    if not isinstance(place, Spread) and len(place) > limits.SIDE_BY_SIDE:
        most = limits.SIDE_BY_SIDE
        message = f"{legible(name)} has {len(place):,} levels; a picture shows at most {most} side by side."
        raise Refusal("limit-exceeded", message)


class Across:
    """The axis of a predictor: numbers where they are, levels side by side."""

    def __init__(self, values: Sequence[Value]) -> None:
        self.numeric = all(isinstance(v, float | int) and not isinstance(v, bool) for v in values)
        self._places = {value: place for place, value in enumerate(dict.fromkeys(values))}

    def __call__(self, values: Sequence[Value]) -> list[float]:
        """Give the places of these values."""
        if self.numeric:
            return [float(value) for value in values]
        return [float(self._places[value]) for value in values]

    def label(self, axes: Axes, name: str, room: float) -> None:
        """Write names and numbers along the axis, which is `room` pixels long."""
        axes.set_xlabel(fitted(name, style.TEXT, room), color=style.MUTED)
        if self.numeric:
            number_ticks(axes.xaxis, max(2, int(room / 70)))
            return
        each = room / len(self._places) - 6.0
        labels = fitted_all([shown(value) for value in self._places], style.SMALL, each)
        axes.set_xticks(list(range(len(labels))), labels)
        axes.set_xlim(-0.5, len(labels) - 0.5)
