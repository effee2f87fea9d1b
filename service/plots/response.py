"""What the axes of effects and lines are called, and where the values of a predictor lie on them."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from model.levels import Value, level_label
from model.posterior import Posterior
from service.plots import style
from service.plots.text import fitted, legible
from service.plots.ticks import number_ticks


def expected_response(posterior: Posterior) -> str:
    """Name what the model expects of the response."""
    name = legible(posterior.encoding.response, 60)
    return f"probability of {name}" if posterior.family.probability else f"expected {name}"


def at_reference(effect: Mapping[str, Any]) -> str:
    """Say at which values the other predictors stay; empty if there are none."""
    parts = [f"{legible(name)} = {shown(value)}" for name, value in effect["reference"].items()]
    return f"Other predictors stay at {', '.join(parts)}. " if parts else ""


def shown(value: Value) -> str:
    """Write a value of a predictor: numbers to four digits, all else as it is."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")
    return legible(level_label(value))


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
        labels = [fitted(shown(value), style.SMALL, each) for value in self._places]
        axes.set_xticks(list(range(len(labels))), labels)
        axes.set_xlim(-0.5, len(labels) - 0.5)
