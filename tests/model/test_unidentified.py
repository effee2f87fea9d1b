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
    "first": np.r_[np.ones(12), np.zeros(12)],
    "arm": np.tile(["a", "b"], ROWS // 2),
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
        "y ~ x + (1 + x | pair)",
        "y ~ 1 + (1 | four) + (1 | alone)",
        "y | weights(even) ~ 1 + (1 | alone)",
        # Rows without weight say nothing, nor do levels that have no others.
        "y | weights(first) ~ 1 + (1 | alone)",
        "y ~ x + (0 + arm | pair)",
        # Each arm has deviations of half the rows, and together they are the residuals.
        "y ~ x + (0 + arm || pair)",
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
        # Effects that are uncorrelated cannot take the place of the residuals, though there are as many as rows.
        "y ~ t + (1 + t || pair)",
        "y | se(s) ~ t + (1 + t | pair)",
    ],
)
def test_nothing_to_warn_of(formula: str) -> None:
    assert not warned(formula)


def test_a_known_residual_sd_needs_no_telling() -> None:
    assert not warned("y ~ 1 + (1 | alone)", P("constant(1)", "sigma"))
    assert not warned("y ~ 1 + (1 | alone)", P("constant(1)", "sd"))


@pytest.mark.parametrize(("formula", "taken"), [("(0 + arm || pair)", True), ("(1 + t || pair)", False)])
def test_uncorrelated_deviations_are_judged_as_dense_matrices_judge_them(formula: str, taken: bool) -> None:
    """Whether the identity is in the span of the derivatives of the responses' covariance by the variances."""
    z = [DATA["arm"] == "a", DATA["arm"] == "b"] if "arm" in formula else [np.ones(ROWS), DATA["t"]]
    same = np.equal.outer(np.array(DATA["pair"]), np.array(DATA["pair"]))
    span = np.stack([(same * np.outer(column, column)).ravel() for column in z], axis=1).astype(float)
    rest = np.linalg.lstsq(span, np.eye(ROWS).ravel(), rcond=None)[1]
    assert bool(rest.sum() < 1e-9) == taken
    assert bool(warned(f"y ~ x + {formula}")) == taken


@pytest.mark.parametrize("family", ["poisson", "negbinomial"])
def test_counts_have_no_residual(family: str) -> None:
    """A level for every row is how overdispersion is written there."""
    assert not warned("c ~ 1 + (1 | alone)", family=family)
