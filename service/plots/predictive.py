"""A posterior predictive check: the responses beside data sets that the fitted model makes up for the same rows."""

import numpy as np

from model.criticism.curves import Bars, Density
from model.criticism.predictive import PredictiveCheck, predictive_check
from service.checks import usual_replications
from service.plots import style
from service.plots.intervals import percent
from service.plots.sheet import Grid, Mark, Sheet, Size
from service.plots.subject import Subject
from service.plots.text import fitted
from service.plots.ticks import number_ticks


def picture(subject: Subject, size: Size, *, seed: int | None) -> Sheet:
    """Show the responses of the rows that were fitted beside replicated ones, as the checks of the fit have them."""
    design, posterior = subject.plan.design(), subject.posterior
    count = usual_replications(subject.here, posterior, design.rows)
    return draw(predictive_check(posterior, design, replications=count, seed=seed), subject, size)


def draw(check: PredictiveCheck, subject: Subject, size: Size) -> Sheet:
    """Draw densities where the response is a number, bars where it is a count."""
    if check.density is not None:
        return _densities(check, check.density, subject, size, _words(check))
    assert check.bars is not None
    return _bars(check, check.bars, subject, size, _words(check))


def _words(check: PredictiveCheck) -> str:
    words = f"{check.rows:,} rows, {check.replications:,} replicated data sets, seed {check.seed}."
    if check.bars is not None and np.isinf(check.bars.last[-1]):
        words += f" The last bar holds all from {check.bars.first[-1]:,.0f} on."
    return words


_TITLE = "Posterior predictive check"
_GRID = Grid([320.0], [120.0], left=66.0, above=8.0, below=46.0)


def _densities(check: PredictiveCheck, density: Density, subject: Subject, size: Size, note: str) -> Sheet:
    curves = len(density.replicated)
    key = [Mark("observed", style.INK, "thick"), Mark(f"{curves} of the replicated data sets", style.SKY)]
    sheet = Sheet(size, subject.heading(_TITLE, describe(check), note), _GRID, key)
    panel = sheet.panels[0][0]
    for curve in density.replicated:
        panel.plot(density.grid, curve, color=style.SKY, linewidth=0.7, alpha=0.7)
    panel.plot(density.grid, density.observed, color=style.INK, linewidth=2.2, gid="observed")
    panel.set_ylim(bottom=0)
    panel.set_yticks([])
    panel.set_ylabel("density")
    panel.set_xlabel(fitted(subject.response, style.TEXT, size.width - 100.0))
    number_ticks(panel.xaxis, max(2, int(size.width / 90)))
    return sheet


def _bars(check: PredictiveCheck, bars: Bars, subject: Subject, size: Size, note: str) -> Sheet:
    key = [
        Mark("rows observed", style.FAINT, "thick"),
        Mark("replicated, median", style.BLUE, "dot"),
        Mark(f"replicated, central {percent(check.prob)} interval", style.BLUE),
    ]
    sheet = Sheet(size, subject.heading(_TITLE, describe(check), note), _GRID, key)
    panel = sheet.panels[0][0]
    width = float(bars.first[1] - bars.first[0]) if len(bars.first) > 1 else 1.0
    middle = bars.first + (width - 1.0) / 2
    panel.grid(axis="y")
    panel.grid(visible=False, axis="x")
    panel.bar(middle, bars.observed, width=0.85 * width, color=style.FAINT, gid="observed")
    panel.vlines(middle, bars.lower, bars.upper, colors=style.BLUE, linewidth=1.6)
    panel.plot(middle, bars.median, "o", color=style.BLUE, markersize=5)
    panel.set_ylim(bottom=0)
    panel.set_ylabel("rows")
    panel.set_xlabel(fitted(subject.response, style.TEXT, size.width - 100.0))
    number_ticks(panel.xaxis, max(2, int(size.width / 60)), whole=True)
    number_ticks(panel.yaxis, 6)
    return sheet


def describe(check: PredictiveCheck) -> str:
    """Say in words what the picture shows: how unusual the statistics of the data are among the replicated ones."""
    sentences = [f"{check.rows} responses beside {check.replications} replicated data sets."]
    sentences += [
        f"{one.name}: observed {one.observed:.4g}, posterior predictive p-value {one.p_value:.3f}."
        for one in check.statistics
    ]
    return " ".join(sentences)
