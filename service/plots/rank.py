"""Rank histograms: where the draws of each chain stand among those of all; in chains that agree all bars are alike.

After Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021).
"""

from collections.abc import Sequence

from matplotlib.axes import Axes

from model.frame.design import Float
from model.results.ranks import rank_histogram
from service.plots import style
from service.plots.series import Series, choose_series
from service.plots.sheet import Grid, Mark, Sheet, Size
from service.plots.subject import Subject
from service.plots.text import fitted_all

_TALLEST = 0.92
EXPECTED = 0.6
"""Heights of a bar, in distances from one chain's histogram to the next."""


def picture(subject: Subject, size: Size, *, parameters: Sequence[str]) -> Sheet:
    """Show the quantities with these names, or what several begin with; the first ones if there are none.

    Raises Refusal for a name that the fit does not have, and for more quantities than can be seen.
    """
    return draw(*choose_series(subject, parameters), subject, size)


def draw(series: Sequence[Series], note: str, subject: Subject, size: Size) -> Sheet:
    """Draw one panel for each quantity, one histogram for each chain, the expected count as a dashed line."""
    chains = series[0].draws.shape[0]
    columns = max(1, min(3, len(series), size.width // 220))
    rows = -(-len(series) // columns)
    each = 34.0 if chains <= 6 else 20.0
    grid = Grid(
        [each * chains + 6.0] * rows,
        [12.0 * chains + 6.0] * rows,
        columns,
        left=58.0,
        gutter=22.0,
        above=26.0,
    )
    key = [Mark("draws of the chain", style.SKY, "thick"), Mark("expected of each", style.INK, "dashed")]
    sheet = Sheet(size, subject.heading("Ranks of the draws, by chain", describe(series), note), grid, key)
    panels = [panel for row in sheet.panels for panel in row]
    for panel in panels[len(series) :]:
        panel.set_axis_off()
    across = (size.width - 58.0) / columns - 30.0
    titles = fitted_all([one.name for one in series], style.TEXT, across)
    for number, (panel, one) in enumerate(zip(panels, series, strict=False)):
        counts = rank_histogram(one.draws)
        _panel(panel, counts, one.draws.size, labels=number % columns == 0)
        panel.set_title(titles[number], pad=4)
    return sheet


def _panel(axes: Axes, counts: Float, total: int, labels: bool) -> None:
    chains, bins = counts.shape
    expected = total / chains / bins
    bases = list(range(chains - 1, -1, -1))
    for chain, base in enumerate(bases):
        # In a chain that stands apart the tallest are cut, so that they do not run into the next.
        heights = (counts[chain] / expected * EXPECTED).clip(max=_TALLEST)
        axes.stairs(heights + base, range(bins + 1), baseline=base, fill=True, color=style.SKY)
    axes.hlines(
        [base + EXPECTED for base in bases],
        0,
        bins,
        colors=style.INK,
        linewidth=0.9,
        linestyles="--",
        zorder=3,
    )
    axes.set_xlim(0, bins)
    axes.set_ylim(-0.02, chains)
    axes.set_xticks([0, bins], ["0", f"{total:,}"])
    first, last = axes.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    names = [f"chain {chain}" for chain in range(chains)] if labels else []
    axes.set_yticks([base + EXPECTED / 2 for base in bases] if labels else [], names)
    axes.grid(visible=False)


def describe(series: Sequence[Series]) -> str:
    """Say in words what the picture shows: whether the chains agree."""
    return " ".join(["Rank histograms by chain.", *(one.sentence() for one in series)])
