"""The paper that every picture is drawn on: a heading, a key, panels in rows and columns, and a note, all placed in
pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from model.errors import Issue
from service.plots import style
from service.plots.text import legible, width, wrapped
from service.problems import Refusal

_EDGE = 14.0
_OVERHANG = 10.0
"""A tick's label may reach beyond the last panel."""
_LINE = 1.45
"""Height of a line of text, in sizes of its font."""
_GAP = 18.0
_SWATCH = 22.0
_STROKES: Mapping[str, tuple[Literal["-", "--"], float]] = {
    "line": ("-", 1.6),
    "thick": ("-", 4.5),
    "dashed": ("--", 1.4),
}


MarkKind = Literal["line", "thick", "dashed", "area", "dot"]


@dataclass(frozen=True, slots=True)
class Size:
    """How large a picture is to be, in pixels of CSS; without a height, as high as it needs."""

    width: int
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Heading:
    """The words around the panels: what it is, of which model, and what must be known to read it.

    `description` says what can be seen, for those who do not see it.
    """

    title: str
    formula: str
    note: str
    description: str


@dataclass(frozen=True, slots=True)
class Mark:
    """An entry of the key."""

    label: str
    color: str
    kind: MarkKind = "line"


@dataclass(frozen=True, slots=True)
class Grid:
    """Panels: the height that each row would like and the least it can do with, and the room for what is around each.

    `left` is for the labels of the leftmost panels, `gutter` for what is between a panel and the one before it.
    """

    heights: Sequence[float]
    least: Sequence[float]
    columns: int = 1
    left: float = 60.0
    gutter: float = 24.0
    above: float = 24.0
    below: float = 26.0


class Sheet:
    """A figure with its panels, `panels[row][column]`."""

    def __init__(self, size: Size, heading: Heading, grid: Grid, key: Sequence[Mark] = ()) -> None:
        self.title = heading.title
        self.description = heading.description
        room = size.width - 2 * _EDGE
        titles = wrapped(legible(heading.title, 200), style.TITLE, room / 1.1, 3)
        formulas = wrapped(legible(heading.formula, 1000), style.SMALL, room, 2)
        notes = wrapped(legible(heading.note, 2000), style.SMALL, room, 8)
        rows_of_key = _rows_of_key(key, room)
        top = _EDGE + _LINE * (style.TITLE * len(titles) + style.SMALL * len(formulas))
        above = top + (8.0 + 20.0 * len(rows_of_key) if rows_of_key else 6.0)
        below = _EDGE + _LINE * style.SMALL * len(notes) + 8.0
        around = above + below + len(grid.heights) * (grid.above + grid.below)
        heights = _heights(size, grid, around)
        self.width, self.height = float(size.width), around + sum(heights)
        self.figure = Figure(figsize=(self.width / style.DPI, self.height / style.DPI))
        self._lines(titles, _EDGE, style.TITLE, style.INK, "bold")
        self._lines(formulas, _EDGE + _LINE * style.TITLE * len(titles), style.SMALL, style.MUTED)
        self._lines(notes, self.height - below + 8.0, style.SMALL, style.MUTED)
        for number, row in enumerate(rows_of_key):
            self._key(row, top + 14.0 + 20.0 * number)
        self.panels = self._panels(grid, heights, above)

    def _panels(self, grid: Grid, heights: Sequence[float], top: float) -> list[list[Axes]]:
        left = _EDGE + grid.left
        across = (self.width - left - _EDGE - _OVERHANG - (grid.columns - 1) * grid.gutter) / grid.columns
        panels = []
        for height in heights:
            top += grid.above
            places = [left + number * (across + grid.gutter) for number in range(grid.columns)]
            panels.append([self._axes(place, top, across, height) for place in places])
            top += height + grid.below
        return panels

    def _axes(self, x: float, y: float, across: float, down: float) -> Axes:
        where = (x / self.width, 1 - (y + down) / self.height, across / self.width, down / self.height)
        axes: Axes = self.figure.add_axes(where)
        return axes

    def _lines(
        self, lines: Sequence[str], top: float, size: float, color: str, weight: str = "normal"
    ) -> None:
        for number, line in enumerate(lines):
            self.figure.text(
                _EDGE / self.width,
                1 - (top + size * (_LINE * number + 1.0)) / self.height,
                line,
                fontsize=size * style.POINT,
                color=color,
                weight=weight,
            )

    def _key(self, row: Sequence[tuple[float, Mark, str]], y: float) -> None:
        for x, mark, label in row:
            ends, height = [x / self.width, (x + _SWATCH - 6.0) / self.width], 1 - y / self.height
            if mark.kind == "area":
                patch = Rectangle(
                    (ends[0], height - 5.0 / self.height),
                    ends[1] - ends[0],
                    10.0 / self.height,
                    facecolor=mark.color,
                    alpha=0.25,
                )
                self.figure.add_artist(patch)
            elif mark.kind == "dot":
                middle = [sum(ends) / 2]
                self.figure.add_artist(
                    Line2D(middle, [height], color=mark.color, marker="o", markersize=4, linestyle="")
                )
            else:
                dashes, thickness = _STROKES[mark.kind]
                self.figure.add_artist(
                    Line2D(ends, [height, height], color=mark.color, linewidth=thickness, linestyle=dashes)
                )
            self.figure.text(
                (x + _SWATCH) / self.width,
                height,
                label,
                fontsize=style.SMALL * style.POINT,
                va="center_baseline",
            )


def _rows_of_key(key: Sequence[Mark], room: float) -> list[list[tuple[float, Mark, str]]]:
    """Place the entries of the key one after the other, in as many rows as they need."""
    rows: list[list[tuple[float, Mark, str]]] = []
    at = room
    for mark in key:
        label = legible(mark.label, 80)
        needed = _SWATCH + width(label, style.SMALL) + _GAP
        if not rows or at + needed > room + _EDGE:
            rows.append([])
            at = _EDGE
        rows[-1].append((at, mark, label))
        at += needed
    return rows


def _heights(size: Size, grid: Grid, around: float) -> list[float]:
    """Stretch the rows to the height that is wanted; raises Refusal where they could not be read."""
    if size.height is None:
        return list(grid.heights)
    least = around + sum(grid.least)
    if size.height < least:
        message = f"query parameter height: this picture needs at least {least:.0f} pixels at this width"
        raise Refusal("invalid-parameter", issues=(Issue("invalid-parameter", message),))
    spare = size.height - around
    stretch = spare / sum(grid.heights)
    if all(height * stretch >= least for height, least in zip(grid.heights, grid.least, strict=True)):
        return [height * stretch for height in grid.heights]
    more = (spare - sum(grid.least)) / len(grid.least)
    return [height + more for height in grid.least]
