"""Factors that are written as crossed and numbered anew in each other's levels: told, and truly crossed ones not."""

from typing import Any

import numpy as np
import pytest

from model.frame.encoding import learn
from model.frame.table import Table
from model.language.formula import parse

SITES, PLOTS, ROWS = 12, 4, 3


def rows(
    seed: int, *, nested: bool, sites: int = SITES, plots: int = PLOTS, per_cell: int = ROWS
) -> dict[str, Any]:
    """Plots of sites, each with an effect of its own if `nested`; otherwise an effect of the plot's number."""
    rng = np.random.default_rng(seed)
    of_site, of_plot = rng.normal(size=sites), rng.normal(size=plots)
    of_cell = rng.normal(size=(sites, plots))
    site = np.repeat(np.arange(sites), plots * per_cell)
    plot = np.tile(np.repeat(np.arange(plots), per_cell), sites)
    effects = of_site[site] + (of_cell[site, plot] if nested else of_plot[plot])
    return {
        "y": (effects + rng.normal(size=len(site))).tolist(),
        "x": rng.normal(size=len(site)).tolist(),
        "site": [f"s{number:02}" for number in site],
        "plot": (plot + 1).tolist(),
    }


def told(formula: str, data: dict[str, Any]) -> list[str]:
    notices = learn(parse(formula), Table.from_columns(data))[0].warnings
    return [str(notice.advice) for notice in notices if notice.code == "implicit_nesting"]


CROSSED = "y ~ x + (1 | site) + (1 | plot)"
ADVICE = ["If they are different ones, write (1 | site/plot)."]


@pytest.mark.parametrize(
    "spelled",
    [lambda plot: plot, lambda plot: plot - 1, lambda plot: f"plot {plot}", lambda plot: "abcd"[plot - 1]],
    ids=["from 1", "from 0", "text", "letters"],
)
def test_plots_that_are_numbered_anew_are_told(spelled: Any) -> None:
    data = rows(1, nested=True)
    data["plot"] = [spelled(plot) for plot in data["plot"]]
    assert told(CROSSED, data) == ADVICE
    assert told("y ~ x + (1 | plot) + (x | site)", data) == ADVICE


def test_sites_of_different_numbers_of_plots_are_told() -> None:
    data = rows(2, nested=True)
    kept = [row for row, site in enumerate(data["site"]) if data["plot"][row] <= 2 + int(site[1:]) % 3]
    assert told(CROSSED, {name: [values[row] for row in kept] for name, values in data.items()}) == ADVICE


def test_few_sites_of_many_plots_are_told() -> None:
    assert told(CROSSED, rows(4, nested=True, sites=3, plots=10)) == ADVICE


def test_crossed_factors_are_not_told() -> None:
    found = [told(CROSSED, rows(seed, nested=False)) for seed in range(40)]
    assert sum(map(bool, found)) <= 3


def test_what_is_written_as_nested_or_labelled_apart_is_not_told() -> None:
    data = rows(1, nested=True)
    assert told("y ~ x + (1 | site/plot)", data) == []
    assert told("y ~ x + (1 | site) + (1 | plot) + (1 | site:plot)", data) == []
    apart = data | {"plot": [f"{site}-{plot}" for site, plot in zip(data["site"], data["plot"], strict=True)]}
    assert told(CROSSED, apart) == []
    named = data | {"plot": [["oak", "elm", "ash", "yew"][plot - 1] for plot in data["plot"]]}
    assert told(CROSSED, named) == []


def test_subjects_that_see_each_item_once_are_not_told() -> None:
    assert told(CROSSED, rows(3, nested=False, sites=20, plots=10, per_cell=1)) == []
    assert told(CROSSED, rows(3, nested=True, sites=20, plots=10, per_cell=1)) == []
