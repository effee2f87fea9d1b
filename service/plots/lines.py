"""One line for each level of a grouping factor, over the data, with the population's line among them."""

import numpy as np

from model.predictions.grid import predictors
from model.predictions.group_lines import GroupLines, group_lines
from service.plots import style
from service.plots.intervals import percent
from service.plots.response import Across, at_reference, refuse_crowded, unknown
from service.plots.sheet import Grid, Mark, Sheet, Size
from service.plots.subject import Subject
from service.plots.text import fitted, legible
from service.plots.ticks import number_ticks


def picture(
    subject: Subject, size: Size, *, variable: str | None, factor: str | None, prob: float, limit: int
) -> Sheet:
    """Show the lines of at most `limit` levels along a predictor.

    Raises Refusal for a factor or a predictor that the fit does not have.
    """
    structure = subject.factor(factor)
    plan = subject.plan
    along = subject.predictor(variable)
    refuse_crowded(along, predictors(subject.posterior.encoding)[along])
    found = group_lines(
        subject.posterior, plan.table, plan.design(), along, structure.name, most=limit, prob=prob
    )
    return draw(found, subject, size, prob)


def draw(lines: GroupLines, subject: Subject, size: Size, prob: float) -> Sheet:
    """Draw rows as dots, levels as thin lines, the population as a thick line with its interval."""
    grid = Grid([380.0], [140.0], left=66.0, above=8.0, below=46.0)
    across = Across([*lines.population["columns"][lines.variable]])
    factors = " and ".join(legible(name) for name in lines.factors)
    words = [_counted(len(lines.lines), lines.levels, f"levels of {legible(lines.factors[-1])}")]
    words.append(_counted(len(lines.x), lines.rows, "rows"))
    if lines.draws < subject.posterior.chains * subject.posterior.draws:
        words.append(f"levels' lines from {lines.draws:,} draws")
    key = [
        Mark("rows of the data", style.GRAY, "dot"),
        Mark(f"level, with the effects of {factors}", style.BLUE),
        Mark("population", style.VERMILION, "thick"),
        Mark(f"its central {percent(prob)} interval", style.VERMILION, "area"),
    ]
    response = subject.response
    # Counts of trials are drawn as shares, which is what the lines are.
    label = f"{response}, share of trials" if subject.posterior.family.name == "binomial" else response
    heading = subject.heading(
        f"{response} along {legible(lines.variable, 80)}, by {legible(lines.factors[-1], 80)}",
        describe(lines, label),
        f"{'; '.join(words)}. {at_reference(lines.population)}{unknown(lines.population)}",
    )
    sheet = Sheet(size, heading, grid, key)
    panel = sheet.panels[0][0]
    panel.grid(axis="y")
    panel.plot(
        across(lines.x), lines.observed, "o", color=style.GRAY, markersize=3, alpha=0.6, markeredgewidth=0
    )
    thin = 0.9 if len(lines.lines) <= 60 else 0.6
    for line in lines.lines:
        lone = "." if len(line.x) == 1 else None
        panel.plot(
            across(line.x), line.mean, color=style.BLUE, linewidth=thin, alpha=0.6, marker=lone, gid="level"
        )
    middle = across(lines.population["columns"][lines.variable])
    panel.fill_between(
        middle,
        lines.population["lower"],
        lines.population["upper"],
        color=style.VERMILION,
        alpha=0.2,
        linewidth=0,
        zorder=3,
    )
    panel.plot(
        middle, lines.population["mean"], color=style.VERMILION, linewidth=2.4, zorder=4, gid="population"
    )
    panel.set_ylabel(fitted(label, style.TEXT, sheet.height - 120.0))
    across.label(panel, lines.variable, size.width - 100.0)
    number_ticks(panel.yaxis, 6)
    return sheet


def _counted(shown: int, total: int, what: str) -> str:
    if shown == total:
        return f"{total:,} {what}"
    return (
        f"{shown:,} of {total:,} {what}, evenly chosen"
        if "levels" in what
        else f"{shown:,} of {total:,} {what}"
    )


def describe(lines: GroupLines, response: str) -> str:
    """Say in words what the picture shows: where the population's line begins and ends."""
    x, mean = lines.population["columns"][lines.variable], lines.population["mean"]
    told = np.flatnonzero(np.isfinite(mean)).tolist()
    course = "is unknown"
    if told:
        first, last = told[0], told[-1]
        course = f"goes from {mean[first]:.4g} at {x[first]} to {mean[last]:.4g} at {x[last]}"
    return (
        f"{response} along {lines.variable}, one line for each of {len(lines.lines)} of {lines.levels} levels of "
        f"{lines.factors[-1]}. The population's line {course}."
    )
