"""A caterpillar of level effects: how far each level of a grouping factor lies from the population, in order."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from model.results.pages import Entries, estimate_entries, find_entries
from service.plots import style
from service.plots.intervals import percent
from service.plots.sheet import Grid, Mark, Sheet, Size
from service.plots.subject import Subject, no_such
from service.plots.text import fitted, fitted_all, legible, width
from service.plots.ticks import number_ticks

_ROW = 16.0
_LEAST_ROW = 11.0
_NARROWEST = 110.0

Items = Sequence[Mapping[str, Any]]
"""Entries as the levels of a factor are listed, each level with the same coefficients."""


def picture(
    subject: Subject, size: Size, *, factor: str | None, coefficient: str | None, prob: float, limit: int
) -> Sheet:
    """Show levels in the order of their deviations of one coefficient, the first unless told otherwise.

    Of more than `limit` levels those at both ends are shown. With `coefficient` it alone is.
    Raises Refusal for a factor or a coefficient that the fit does not have.
    """
    structure = subject.factor(factor)
    if coefficient is not None and coefficient not in structure.coefficients:
        raise no_such("coefficient", structure.coefficients)
    by = coefficient or structure.coefficients[0]
    wanted = [by] if coefficient else list(structure.coefficients)
    ranked = find_entries(subject.posterior, structure.name, coefficient=by, sort="-deviation").levels
    total = len(ranked)
    if total > limit:
        ranked = np.concatenate([ranked[: (limit + 1) // 2], ranked[total - limit // 2 :]])
    numbers = np.array([structure.coefficients.index(name) for name in wanted], dtype=np.intp)
    entries = Entries(structure.name, np.repeat(ranked, len(numbers)), np.tile(numbers, len(ranked)))
    items = estimate_entries(subject.posterior, entries, 0, len(entries), prob)
    which = (
        f"All {total:,} levels" if total <= limit else f"{limit:,} of {total:,} levels, those at both ends"
    )
    between = (limit + 1) // 2 if total > limit else None
    note = f"{which}, in the order of their posterior means of {legible(by)}."
    return draw(structure.name, items, subject, size, prob, note, between)


def draw(
    factor: str,
    items: Items,
    subject: Subject,
    size: Size,
    prob: float,
    note: str,
    between: int | None = None,
) -> Sheet:
    """Draw mean and interval of each deviation, one panel for each coefficient, levels from top to bottom.

    After the first `between` levels there are some that are not drawn.
    """
    coefficients = list(dict.fromkeys(item["coefficient"] for item in items))
    levels = list(dict.fromkeys(item["level"] for item in items))
    labels = fitted_all(levels, style.SMALL, size.width / 3.5)
    left = max(width(label, style.SMALL) for label in labels) + 14.0
    gutter = 20.0
    columns = max(1, min(len(coefficients), int((size.width - left) / (_NARROWEST + gutter))))
    rows_of_panels = -(-len(coefficients) // columns)
    grid = Grid(
        heights=[_ROW * len(levels) + 8.0] * rows_of_panels,
        least=[_LEAST_ROW * len(levels) + 8.0] * rows_of_panels,
        columns=columns,
        left=left,
        gutter=gutter,
        above=30.0,
        below=26.0,
    )
    key = [Mark("mean", style.BLUE, "dot"), Mark(f"central {percent(prob)} interval", style.BLUE)]
    heading = subject.heading(
        f"Deviations of the levels of {legible(factor)}", describe(factor, items, prob), note
    )
    sheet = Sheet(size, heading, grid, key)
    panels = [panel for row in sheet.panels for panel in row]
    for panel in panels[len(coefficients) :]:
        panel.set_axis_off()
    across = (size.width - left) / columns - gutter
    for number, (panel, coefficient) in enumerate(zip(panels, coefficients, strict=False)):
        _panel(panel, [item for item in items if item["coefficient"] == coefficient])
        if between is not None:
            panel.axhline(between - 0.5, color=style.MUTED, linewidth=1.0, linestyle=":")
        panel.set_title(fitted(coefficient, style.TEXT, across), pad=5, color=style.MUTED)
        panel.set_yticks(range(len(levels)), labels if number % columns == 0 else [])
        number_ticks(panel.xaxis, max(2, int(across / 55)))
    return sheet


def _panel(axes: Axes, items: Items) -> None:
    places = list(range(len(items)))
    figures = [item["deviation"] for item in items]
    axes.axvline(0, color=style.FAINT, linewidth=1.0, zorder=1)
    lower, upper = [f["lower"] for f in figures], [f["upper"] for f in figures]
    axes.hlines(places, lower, upper, colors=style.BLUE, linewidth=1.4)
    axes.plot([f["mean"] for f in figures], places, "o", color=style.BLUE, markersize=4, gid="means")
    axes.set_ylim(len(items) - 0.25, -0.75)
    axes.margins(x=0.06)


def describe(factor: str, items: Items, prob: float, most: int = 40) -> str:
    """Say in words what the picture shows."""
    sentences = [f"Deviations of levels of {factor}: posterior means with central {percent(prob)} intervals."]
    for item in items[:most]:
        of = item["deviation"]
        named = f"{item['level']}, {item['coefficient']}"
        sentences.append(f"{named}: {of['mean']:.4g} ({of['lower']:.4g} to {of['upper']:.4g}).")
    if len(items) > most:
        sentences.append(f"{len(items) - most} more.")
    return " ".join(sentences)
