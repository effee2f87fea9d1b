"""A conditional effect: what the model expects along one predictor, for some values of another, with its interval."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from model.predictions.conditional import conditional_effects
from model.predictions.grid import predictors
from service.grids import read_grid
from service.plots import limits, style
from service.plots.catalog import predictor_names
from service.plots.intervals import percent
from service.plots.response import Across, at_reference, refuse_crowded, shown, unknown
from service.plots.sheet import Grid, Mark, MarkKind, Sheet, Size
from service.plots.subject import Subject
from service.plots.text import fitted, legible
from service.plots.ticks import number_ticks
from service.problems import Refusal

_SPREAD = 0.36
"""How far the marks of one level of a factor lie apart, of the distance to the next."""

Effect = Mapping[str, Any]
"""A conditional effect as the answer has it."""


def picture(
    subject: Subject,
    size: Size,
    *,
    variable: str | None,
    by: str | None,
    at: Sequence[str],
    level: Sequence[str],
    prob: float,
) -> Sheet:
    """Show the effect of a predictor, for each of some values of another if `by` names it.

    Raises InvalidModel for names and values that the fit does not have, Refusal for more values than can be seen.
    """
    encoding = subject.posterior.encoding
    usual = variable or predictor_names(encoding)[0]
    grid = read_grid(encoding, usual, by=by, at=at, level=level)
    refuse_crowded(usual, predictors(encoding)[usual])
    if by is not None and (count := len(set(grid.columns[by]))) > limits.LINES:
        message = f"{legible(by)} has {count} levels; a picture shows at most {limits.LINES} lines."
        raise Refusal("limit-exceeded", message)
    return draw(conditional_effects(subject.posterior, grid, prob=prob), subject, size)


def draw(effect: Effect, subject: Subject, size: Size) -> Sheet:
    """Draw a line with its band along a number, a dot with its interval for each level of a factor."""
    variable, *others = effect["columns"]
    by = others[0] if others else None
    grid = Grid([360.0], [140.0], left=66.0, above=8.0, below=46.0)
    series = _series(effect, by)
    shades = style.colors(len(series))
    across = Across(effect["columns"][variable])
    interval = f"central {percent(effect['prob'])} interval"
    key = [
        Mark(f"{legible(by, 30)} = {shown(value)}", shade)
        for (value, _), shade in zip(series, shades, strict=True)
        if by is not None
    ]
    kind: MarkKind = "area" if across.numeric else "line"
    key = key or [
        Mark("mean", shades[0], "thick" if across.numeric else "dot"),
        Mark(interval, shades[0], kind),
    ]
    response = subject.expected_response
    heading = subject.heading(
        f"Conditional effect of {legible(variable, 80)}" + ("" if by is None else f" by {legible(by, 80)}"),
        describe(effect, response),
        f"{'' if by is None else f'Mean and {interval}. '}{_groups(effect)}{at_reference(effect)}{unknown(effect)}",
    )
    sheet = Sheet(size, heading, grid, key)
    panel = sheet.panels[0][0]
    panel.grid(axis="y")
    for number, ((_, rows), shade) in enumerate(zip(series, shades, strict=True)):
        aside = 0.0 if len(series) == 1 else _SPREAD * (number / (len(series) - 1) - 0.5)
        _one(panel, effect, rows, across, variable, shade, aside)
    panel.set_ylabel(fitted(response, style.TEXT, sheet.height - 120.0))
    across.label(panel, variable, size.width - 100.0)
    number_ticks(panel.yaxis, 6)
    return sheet


def _series(effect: Effect, by: str | None) -> list[tuple[Any, list[int]]]:
    """The rows that belong together: those of one value of the second predictor."""
    if by is None:
        return [(None, list(range(len(effect["mean"]))))]
    values = effect["columns"][by]
    return [(one, [row for row, value in enumerate(values) if value == one]) for one in dict.fromkeys(values)]


def _one(
    axes: Axes, effect: Effect, rows: Sequence[int], across: Across, variable: str, color: str, aside: float
) -> None:
    x = np.array(across([effect["columns"][variable][row] for row in rows]))
    mean, lower, upper = (np.array(effect[name])[rows] for name in ("mean", "lower", "upper"))
    if across.numeric and len(rows) > 1:
        axes.fill_between(x, lower, upper, color=color, alpha=0.2, linewidth=0)
        axes.plot(x, mean, color=color, linewidth=2.0, gid="mean")
    else:
        axes.vlines(x + aside, lower, upper, colors=color, linewidth=1.6)
        axes.plot(x + aside, mean, "o", color=color, markersize=6, gid="mean")


def _groups(effect: Effect) -> str:
    if not effect["group_effects"]:
        return "Without group-level effects. "
    levels = ", ".join(f"{legible(name)} = {shown(value)}" for name, value in effect["levels"].items())
    return f"With the group-level effects of {levels}. "


def describe(effect: Effect, response: str) -> str:
    """Say in words what the picture shows: the first and the last mean of each line."""
    variable, *others = effect["columns"]
    by = others[0] if others else None
    sentences = [f"{response} along {variable}. {at_reference(effect)}".strip()]
    for value, every in _series(effect, by):
        where = "" if by is None else f"{by} = {shown(value)}: "
        rows = [row for row in every if np.isfinite(effect["mean"][row])]
        if not rows:
            sentences.append(f"{where}unknown everywhere.")
            continue
        x = [effect["columns"][variable][row] for row in (rows[0], rows[-1])]
        y = [effect["mean"][row] for row in (rows[0], rows[-1])]
        sentences.append(f"{where}from {y[0]:.4g} at {shown(x[0])} to {y[1]:.4g} at {shown(x[1])}.")
    return " ".join(sentences)
