"""Estimates with their intervals: coefficients, sds, correlations and family parameters, each kind on its own scale.

The numbers are those of a fit's summary.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from service.plots import limits, style
from service.plots.sheet import Grid, Mark, Sheet, Size
from service.plots.subject import Subject
from service.plots.text import fitted, fitted_all, legible, width
from service.plots.ticks import number_ticks

_ROW = 24.0
_LEAST_ROW = 14.0


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity: its label, the name by which it is asked for, its wide and its narrow interval."""

    label: str
    name: str
    wide: Mapping[str, Any]
    narrow: Mapping[str, Any]


def rows_by_panel(wide: Mapping[str, Any], narrow: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Sort the estimates of two summaries of one fit, of a larger and a smaller probability, into panels."""
    panels: dict[str, list[Row]] = {}
    for panel, row in _rows(wide, narrow):
        panels.setdefault(panel, []).append(row)
    return panels


def _rows(wide: Mapping[str, Any], narrow: Mapping[str, Any]) -> Iterator[tuple[str, Row]]:
    for a, b in zip(wide["population"], narrow["population"], strict=True):
        # An intercept lies where the response does, far from what the others are like.
        panel = "Population-level intercept" if a["name"] == "Intercept" else "Population-level coefficients"
        yield panel, Row(a["name"], f"b[{a['name']}]", a, b)
    for factor, group in wide["groups"].items():
        other = narrow["groups"][factor]
        for a, b in zip(group["sd"], other["sd"], strict=True):
            yield (
                f"Standard deviations between levels of {factor}",
                Row(a["name"], f"sd[{factor}][{a['name']}]", a, b),
            )
        for a, b in zip(group["correlation"], other["correlation"], strict=True):
            label, name = " ~ ".join(legible(n, 19) for n in a["names"]), ",".join(a["names"])
            yield f"Correlations within {factor}", Row(label, f"cor[{factor}][{name}]", a, b)
    for a, b in zip(wide["family_parameters"], narrow["family_parameters"], strict=True):
        yield "Family parameters", Row(a["name"], a["name"], a, b)


def picture(subject: Subject, size: Size, *, parameters: Sequence[str], prob: float) -> Sheet:
    """Show the parameters with these names, or what several begin with; the first ones if there are none.

    Raises Refusal for a name that the fit does not have.
    """
    narrow = 0.5 if prob > 0.5 else prob / 2
    panels = rows_by_panel(subject.summary(prob), subject.summary(narrow))
    names = (row.name for rows in panels.values() for row in rows)
    chosen, note = subject.choose(names, parameters, limits.INTERVALS)
    kept = {title: [row for row in rows if row.name in chosen] for title, rows in panels.items()}
    return draw({title: rows for title, rows in kept.items() if rows}, subject, size, narrow, prob, note)


def draw(
    panels: Mapping[str, Sequence[Row]],
    subject: Subject,
    size: Size,
    narrow: float,
    wide: float,
    note: str,
) -> Sheet:
    """Draw a dot for each mean, a thick line for the narrow and a thin one for the wide interval."""
    labels = {
        panel: fitted_all([row.label for row in rows], style.TEXT, 0.45 * size.width)
        for panel, rows in panels.items()
    }
    room = max(width(label, style.TEXT) for some in labels.values() for label in some)
    grid = Grid(
        heights=[_ROW * len(rows) + 6.0 for rows in panels.values()],
        least=[_LEAST_ROW * len(rows) + 6.0 for rows in panels.values()],
        left=room + 14.0,
        above=30.0,
        below=24.0,
    )
    heading = subject.heading("Posterior means and intervals", describe(panels, wide), note)
    key = [
        Mark("mean", style.BLUE, "dot"),
        Mark(f"central {percent(narrow)} interval", style.BLUE, "thick"),
        Mark(f"central {percent(wide)} interval", style.BLUE),
    ]
    sheet = Sheet(size, heading, grid, key)
    for (panel,), (title, members) in zip(sheet.panels, panels.items(), strict=True):
        panel.set_title(fitted(title, style.TEXT, size.width - room - 50.0), pad=5, color=style.MUTED)
        _panel(panel, members, labels[title])
        if title.startswith("Correlations"):
            panel.set_xlim(-1, 1)
        elif title.startswith("Standard"):
            panel.set_xlim(left=0)
        elif title.startswith("Population-level c"):
            panel.axvline(0, color=style.FAINT, linewidth=1.0, zorder=1)
    return sheet


def _panel(axes: Axes, rows: Sequence[Row], labels: Sequence[str]) -> None:
    places = list(range(len(rows)))
    for intervals, thickness in (([row.wide for row in rows], 1.4), ([row.narrow for row in rows], 4.5)):
        axes.hlines(
            places,
            [interval["lower"] for interval in intervals],
            [interval["upper"] for interval in intervals],
            colors=style.BLUE,
            linewidth=thickness,
            alpha=1.0,
        )
    means = [row.wide["mean"] for row in rows]
    axes.plot(
        means,
        places,
        "o",
        markersize=6,
        markerfacecolor=style.PAPER,
        markeredgecolor=style.BLUE,
        markeredgewidth=1.6,
        gid="means",
    )
    axes.set_yticks(places, labels, color=style.INK)
    axes.tick_params(axis="y", labelsize=style.TEXT * style.POINT)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.margins(x=0.06)
    number_ticks(axes.xaxis, 6)


def percent(prob: float) -> str:
    """Write a probability in percent, with as many decimals as it has."""
    return f"{round(100 * prob, 10):g}%"


def describe(panels: Mapping[str, Sequence[Row]], prob: float, most: int = 40) -> str:
    """Say in words what the picture shows: each mean and its wide interval."""
    sentences = [f"Posterior means with central {percent(prob)} intervals."]
    rows = [row for members in panels.values() for row in members]
    sentences += [
        f"{row.name}: {row.wide['mean']:.4g} ({row.wide['lower']:.4g} to {row.wide['upper']:.4g})."
        for row in rows[:most]
    ]
    if len(rows) > most:
        sentences.append(f"{len(rows) - most} more.")
    return " ".join(sentences)
