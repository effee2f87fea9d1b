"""When a residual sd can be told from group-level ones, and when only their priors do that."""

from typing import Any

import numpy as np
import pytest

from model.errors import Notice
from model.frame.table import Table
from model.priors import PriorStatement as P
from model.spec import FitSpec, prepare

SOURCE = np.random.default_rng(9)
ROWS = 24
DATA: dict[str, Any] = {
    "y": SOURCE.normal(0, 1, ROWS),
    "c": SOURCE.integers(0, 5, ROWS),
    "t": np.tile([0.0, 1.0], ROWS // 2),
    "x": SOURCE.normal(0, 1, ROWS),
    "s": SOURCE.uniform(0.5, 1.5, ROWS),
    "w": SOURCE.uniform(0.5, 1.5, ROWS),
    "even": np.ones(ROWS),
    "alone": [f"a{i}" for i in range(ROWS)],
    "pair": [f"p{i // 2}" for i in range(ROWS)],
    "uneven": [f"u{max(i - 8, 0)}" for i in range(ROWS)],
    "four": [f"f{i // 4}" for i in range(ROWS)],
}


def warned(formula: str, *priors: P, family: str = "gaussian") -> list[Notice]:
    made = prepare(FitSpec(formula, Table.from_columns(DATA), family, priors=priors))
    return [notice for notice in made.warnings if notice.code == "unidentified_residual"]


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ 1 + (1 | alone)",
        "y ~ t + (1 + t | pair)",
        "y ~ t + (1 + t || pair)",
        "y ~ x + (1 + x | pair)",
        "y ~ 1 + (1 | four) + (1 | alone)",
        "y | weights(even) ~ 1 + (1 | alone)",
    ],
)
def test_deviations_that_fit_every_row(formula: str) -> None:
    (notice,) = warned(formula)
    assert notice.severity == "serious"
    assert notice.parameters[0] == "sigma"


def test_as_many_deviations_as_rows_with_some_rows_left() -> None:
    (notice,) = warned("y ~ x + (1 + x | uneven)")
    assert notice.severity == "warning"


@pytest.mark.parametrize(
    "formula",
    [
        "y | se(s) ~ 1 + (1 | alone)",
        "y | weights(w) ~ 1 + (1 | alone)",
        "y ~ x + (1 + x | four)",
        "y ~ 1 + (1 | pair)",
    ],
)
def test_nothing_to_warn_of(formula: str) -> None:
    assert not warned(formula)


def test_a_known_residual_sd_needs_no_telling() -> None:
    assert not warned("y ~ 1 + (1 | alone)", P("constant(1)", "sigma"))


@pytest.mark.parametrize("family", ["poisson", "negbinomial"])
def test_counts_have_no_residual(family: str) -> None:
    """A level for every row is how overdispersion is written there."""
    assert not warned("c ~ 1 + (1 | alone)", family=family)
