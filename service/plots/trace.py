"""Traces: the draws of each chain in the order in which they were made; chains that agree lie on top of each other."""

from collections.abc import Sequence

import numpy as np

from service.plots import style
from service.plots.series import Series, choose_series
from service.plots.sheet import Grid, Mark, Sheet, Size
from service.plots.subject import Subject
from service.plots.text import fitted_all, width
from service.plots.ticks import number_ticks

_MOST_POINTS = 2_400
"""In one panel: there are fewer pixels."""


def picture(subject: Subject, size: Size, *, parameters: Sequence[str]) -> Sheet:
    """Show the quantities with these names, or what several begin with; the first ones if there are none.

    Raises Refusal for a name that the fit does not have, and for more quantities than can be seen.
    """
    return draw(*choose_series(subject, parameters), subject, size)


def draw(series: Sequence[Series], note: str, subject: Subject, size: Size) -> Sheet:
    """Draw one panel for each quantity, one line for each chain."""
    chains, draws = series[0].draws.shape
    step = max(1, -(-chains * draws // _MOST_POINTS))
    if step > 1:
        note = f"Every {_ordinal(step)} draw is shown. {note}"
    count = len(series)
    grid = Grid([78.0] * count, [36.0] * count, left=52.0, above=24.0, below=22.0)
    shades = style.colors(chains)
    key = [Mark(f"chain {number}", shade) for number, shade in enumerate(shades)]
    sheet = Sheet(
        size, subject.heading("Traces of the chains, after warm-up", describe(series), note), grid, key
    )
    numbers = np.arange(0, draws, step)
    room = size.width - grid.left - 40.0
    worths = [_fitting(one.worth, 0.6 * room) for one in series]
    most = room - max(width(worth, style.SMALL) for worth in worths)
    titles = fitted_all([one.name for one in series], style.TEXT, most)
    for (panel,), one, title, worth in zip(sheet.panels, series, titles, worths, strict=True):
        for number, shade in enumerate(shades):
            panel.plot(numbers, one.draws[number, ::step], color=shade, linewidth=0.7, alpha=0.8)
        panel.set_title(title, pad=4)
        panel.set_title(worth, loc="right", fontsize=style.SMALL * style.POINT, color=style.MUTED, pad=4)
        panel.set_xlim(-0.5, draws - 0.5)
        panel.grid(axis="y")
        number_ticks(panel.xaxis, 8, whole=True)
        number_ticks(panel.yaxis, 3)
    return sheet


def _fitting(parts: Sequence[str], room: float) -> str:
    """Join as many of the parts as there is room for."""
    counts = range(len(parts), 0, -1)
    joined = (" · ".join(parts[:count]) for count in counts)
    return next((text for text in joined if width(text, style.SMALL) <= room), "")


def _ordinal(number: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    ending = "th" if number % 100 in (11, 12, 13) else endings.get(number % 10, "th")
    return f"{number:,}{ending}"


def describe(series: Sequence[Series]) -> str:
    """Say in words what the picture shows: whether the chains agree."""
    return " ".join(["Draws by chain.", *(one.sentence() for one in series)])
