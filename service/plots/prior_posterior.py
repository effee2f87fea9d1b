"""What was believed before the data beside what is believed after: prior and posterior density of each parameter."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes

from model.distributions import Kind
from model.results.density import kernel_density
from model.results.marginals import Marginal, marginals
from service.plots import limits, style
from service.plots.sheet import Grid, Mark, Sheet, Size
from service.plots.subject import Subject
from service.plots.text import fitted, fitted_all
from service.plots.ticks import number_ticks

_BEYOND = 0.35
"""How much of the prior is shown on either side of the posterior, as a share of its width."""


def picture(subject: Subject, size: Size, *, parameters: Sequence[str]) -> Sheet:
    """Show the parameters with these names, or what several begin with; the first ones if there are none.

    Raises Refusal for a name that the fit does not have, and for more parameters than can be seen.
    """
    plan = subject.plan
    found = {one.name: one for one in marginals(subject.posterior, plan.priors, center=plan.center)}
    names, note = subject.choose(found, parameters, limits.PANELS)
    return draw([found[name] for name in names], subject, size, note)


def draw(shown: Sequence[Marginal], subject: Subject, size: Size, note: str) -> Sheet:
    """Draw one panel for each parameter: its posterior density filled, its prior density dashed."""
    if any(marginal.centered for marginal in shown):
        note = f"{note} The intercept is that at the means of the predictors, which its prior is about."
    columns = max(1, min(3, len(shown), size.width // 220))
    rows = -(-len(shown) // columns)
    grid = Grid([96.0] * rows, [40.0] * rows, columns, left=6.0, gutter=34.0, above=44.0, below=24.0)
    key = [Mark("posterior", style.BLUE, "area"), Mark("prior", style.VERMILION, "dashed")]
    sheet = Sheet(size, subject.heading("Prior and posterior", describe(shown), note), grid, key)
    panels = [panel for row in sheet.panels for panel in row]
    for panel in panels[len(shown) :]:
        panel.set_axis_off()
    across = (size.width - 44.0) / columns - 34.0
    titles = fitted_all([marginal.name for marginal in shown], style.TEXT, across)
    for panel, marginal, title in zip(panels, shown, titles, strict=False):
        _panel(panel, marginal)
        panel.set_title(title, pad=20)
        panel.text(
            0.0,
            1.06,
            fitted(_prior(marginal), style.SMALL, across),
            transform=panel.transAxes,
            fontsize=style.SMALL * style.POINT,
            color=style.MUTED,
        )
        number_ticks(panel.xaxis, max(2, int(across / 55)))
    return sheet


def _prior(marginal: Marginal) -> str:
    if marginal.prior.kind is Kind.FLAT:
        return "flat prior, which has no density"
    return str(replace(marginal.prior, arguments=tuple(float(f"{a:.4g}") for a in marginal.prior.arguments)))


def _panel(axes: Axes, marginal: Marginal) -> None:
    axes.set_yticks([])
    axes.grid(visible=False)
    try:
        points, posterior = kernel_density(marginal.draws, marginal.bounds)
    except ValueError:
        value = float(marginal.draws.flat[0])
        axes.axvline(value, color=style.BLUE, linewidth=2.0)
        axes.set_xlim(value - (abs(value) or 1.0), value + (abs(value) or 1.0))
        return
    axes.fill_between(points, posterior, color=style.BLUE, alpha=0.25, linewidth=0)
    axes.plot(points, posterior, color=style.BLUE, linewidth=1.4)
    beyond = _BEYOND * (points[-1] - points[0])
    low, high = (
        max(points[0] - beyond, marginal.bounds[0]),
        min(points[-1] + beyond, marginal.bounds[1]),
    )
    wider = np.linspace(low, high, 200)[1:-1]
    prior = marginal.density(wider)
    if prior is not None:
        axes.plot(wider, prior, color=style.VERMILION, linewidth=1.4, linestyle="--")
    axes.set_xlim(low, high)
    axes.set_ylim(0, 1.08 * posterior.max())


def describe(shown: Sequence[Marginal]) -> str:
    """Say in words what the picture shows."""
    return " ".join(
        [
            "Prior and posterior densities.",
            *(f"{marginal.name}: {_prior(marginal)}." for marginal in shown),
        ]
    )
