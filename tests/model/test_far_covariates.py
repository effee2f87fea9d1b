"""The warning that a prior of deviations far outside the data may suppress slopes."""

from typing import Any

import numpy as np
import pytest

from model.errors import Notice
from model.frame.table import Table
from model.priors import PriorStatement
from model.spec import FitSpec, prepare

SOURCE = np.random.default_rng(6)
LEVEL = np.repeat(np.arange(12), 8)
YEAR = 2010.0 + np.tile(np.arange(8.0), 12)
Y = 10 + SOURCE.normal(0, 1, 12)[LEVEL] + SOURCE.normal(0, 1, 96)


def warned(formula: str, *priors: PriorStatement, **changes: Any) -> list[Notice]:
    columns = {
        "y": Y,
        "yr": YEAR,
        "near": YEAR - 2013,
        "g": LEVEL,
        "f": np.where(LEVEL == 3, "a", "b"),
        "c": Y > 10,
    }
    made = prepare(FitSpec(formula, Table.from_columns(columns), priors=priors, **changes))
    return [notice for notice in made.warnings if notice.code == "far_covariate"]


def test_a_year_under_the_default_prior() -> None:
    (notice,) = warned("y ~ yr + (1 + yr | g)")
    assert notice.severity == "warning"
    assert notice.parameters == ("sd[g][Intercept]", "sd[g][yr]")
    assert "center(yr)" in str(notice.advice)
    assert "879" in notice.message


def test_the_advice_helps() -> None:
    assert not warned("y ~ yr + (1 + center(yr) | g)")
    assert not warned("y ~ yr + (1 + yr | g)", PriorStatement("normal(0, 2000)", "sd", "Intercept", "g"))
    assert warned("y ~ yr + (1 + yr | g)", PriorStatement("normal(0, 20)", "sd", "Intercept", "g"))


def test_independent_effects() -> None:
    (notice,) = warned("y ~ yr + (1 + yr || g)")
    assert "independent at yr = 0" in notice.message
    assert warned("y ~ yr + (1 | g) + (0 + yr | g)")


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ near + (1 + near | g)",
        "y ~ yr + (1 | g)",
        "y ~ yr + (0 + yr | g)",
        "y ~ f + (1 + f | g)",
        "y ~ yr",
    ],
)
def test_nothing_to_warn_of(formula: str) -> None:
    assert not warned(formula)


def test_a_link_on_which_effects_are_of_the_order_of_one() -> None:
    assert warned("c ~ yr + (1 + yr | g)", family="bernoulli")
    assert not warned("c ~ near + (1 + near | g)", family="bernoulli")
