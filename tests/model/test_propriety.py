"""Posteriors without a finite integral are refused; those with one are not."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from model.errors import InvalidModel
from model.frame.table import Table
from model.priors import PriorStatement as P
from model.spec import FitSpec, prepare

SOURCE = np.random.default_rng(3)


def columns(rows: int, levels: int = 3) -> dict[str, Any]:
    made: dict[str, Any] = {f"x{i}": SOURCE.normal(0, 1, rows) for i in range(6)}
    return made | {
        "y": SOURCE.normal(0, 1, rows),
        "w": np.full(rows, 0.01),
        "z": np.r_[np.ones(2), np.zeros(rows - 2)],
        "g": [f"g{i % levels}" for i in range(rows)],
        "count": [(i // levels) % 3 if i % levels < 2 else 0 for i in range(rows)],
        "event": [int(i % levels != 1) for i in range(rows)],
    }


SIX = "x0 + x1 + x2 + x3 + x4 + x5"
FLAT_SIGMA, FLAT_SD, FLAT_INTERCEPT = P("", "sigma"), P("", "sd"), P("", "Intercept")

IMPROPER = {
    "weights that sum to less than there are coefficients": (f"y | weights(w) ~ {SIX}", (), 24, 3),
    "of a student model": (f"y | weights(w) ~ {SIX}", (), 24, 3, "student"),
    "a flat sigma of three rows and two flat coefficients": ("y ~ x0", (FLAT_SIGMA, FLAT_INTERCEPT), 3, 3),
    "fewer weighted rows than flat coefficients": ("y | weights(z) ~ x0 + x1 + x2", (), 12, 3),
    "a flat sd of two levels beside a flat intercept": ("y ~ 1 + (1 | g)", (FLAT_SD, FLAT_INTERCEPT), 12, 2),
    "a flat sd of two levels beside a flat coefficient of the same": (
        "y ~ x0 + (1 | g)",
        (FLAT_SD, FLAT_INTERCEPT),
        12,
        2,
    ),
    "a flat sd where all levels but one have no counts": (
        "count ~ 1 + (1 | g)",
        (FLAT_SD, FLAT_INTERCEPT),
        12,
        3,
        "poisson",
    ),
    "a flat sd where each level has the same outcome": (
        "event ~ 1 + (1 | g)",
        (FLAT_SD,),
        12,
        3,
        "bernoulli",
    ),
    "a flat shape": ("count ~ 1", (P("", "shape"),), 12, 3, "negbinomial"),
    "a flat nu": ("y ~ 1", (P("", "nu"),), 12, 3, "student"),
}

PROPER = {
    "eight rows and six flat coefficients": (f"y ~ {SIX}", (), 8, 3),
    "the same weights and proper priors": (f"y | weights(w) ~ {SIX}", (P("normal(0, 1)", "b"),), 24, 3),
    "a flat sigma of four rows and two flat coefficients": ("y ~ x0", (FLAT_SIGMA, FLAT_INTERCEPT), 4, 3),
    "a flat sigma of three rows and one flat coefficient": ("y ~ x0", (FLAT_SIGMA,), 3, 3),
    "a flat sd of three levels": ("y ~ 1 + (1 | g)", (FLAT_SD, FLAT_INTERCEPT), 12, 3),
    "a flat sd of two levels beside a proper intercept": ("y ~ 1 + (1 | g)", (FLAT_SD,), 12, 2),
    "a flat sd of two levels with counts": ("count ~ 1 + (1 | g)", (FLAT_SD,), 12, 3, "poisson"),
    "a wide sd of two levels": ("y ~ 1 + (1 | g)", (P("uniform(0, 1000000)", "sd"), FLAT_INTERCEPT), 12, 2),
}


def prepared(formula: str, priors: tuple[P, ...], rows: int, levels: int, family: str = "gaussian") -> Any:
    return prepare(FitSpec(formula, Table.from_columns(columns(rows, levels)), family, priors=priors))


@pytest.mark.parametrize("name", IMPROPER)
def test_an_improper_posterior_is_refused(name: str) -> None:
    with pytest.raises(InvalidModel) as error:
        prepared(*IMPROPER[name])  # type: ignore[arg-type]
    assert {issue.code for issue in error.value.issues} == {"improper-posterior"}


@pytest.mark.parametrize("name", PROPER)
def test_a_proper_posterior_is_not(name: str) -> None:
    prepared(*PROPER[name])


@pytest.mark.parametrize("rows", [3, 4])
def test_the_limit_is_where_the_integral_over_sigma_ends(rows: int) -> None:
    """Of y = 1 + x with flat priors on everything: the integral of sigma^(2 - n) exp(-S / 2 sigma^2)."""
    upper = 10.0 ** np.array([2, 4, 6])
    grid = [np.exp(np.linspace(np.log(0.1), np.log(end), 20_000)) for end in upper]
    growing = [np.trapezoid(s ** (2 - rows) * np.exp(-0.5 / s**2), s) for s in grid]
    converges = growing[2] - growing[1] < 0.1 * (growing[1] - growing[0])
    assert converges == (rows > 3)


LEVELS_ONLY = ("y ~ 1 + (1 | g)", (FLAT_SD, FLAT_INTERCEPT), 12)
TAILS: dict[str, tuple[Any, list[tuple[str, str]]]] = {
    "flat sigma, no mean": (("y ~ x0", (FLAT_SIGMA,), 3, 3), [("serious", "sigma")]),
    "flat sigma, no variance": (("y ~ x0", (FLAT_SIGMA,), 4, 3), [("warning", "sigma")]),
    "flat sigma, both": (("y ~ x0", (FLAT_SIGMA,), 5, 3), []),
    "three levels have two differences": ((*LEVELS_ONLY, 3), [("serious", "sd[g][Intercept]")]),
    "four levels": ((*LEVELS_ONLY, 4), [("warning", "sd[g][Intercept]")]),
    "five levels": ((*LEVELS_ONLY, 5), []),
    "a prior that ends far out": (
        ("y ~ 1 + (1 | g)", (P("uniform(0, 1000000)", "sd"),), 12, 2),
        [("serious", "sd[g][Intercept]")],
    ),
    "a slope that varies within levels takes no difference between them": (
        ("y ~ x0 + (1 | g)", (FLAT_SD,), 12, 4),
        [],
    ),
    "the defaults": (("y ~ x0 + (1 | g)", (), 8, 2), []),
}


@pytest.mark.parametrize("name", TAILS)
def test_a_posterior_without_mean_or_variance_is_told(name: str) -> None:
    request, expected = TAILS[name]
    found = [notice for notice in prepared(*request).warnings if notice.code == "heavy_tails"]
    assert [(notice.severity, notice.parameters[0]) for notice in found] == expected


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_the_power_with_which_the_density_of_an_sd_falls(levels: int) -> None:
    """With a flat sd and a proper intercept it is the number of levels: the marginal likelihood by dense matrices."""
    index = np.arange(12) % levels
    y = np.random.default_rng(8).normal(size=12)
    same = np.equal.outer(index, index)
    logs = [
        stats.multivariate_normal(np.zeros(12), np.eye(12) + 25.0 + sd**2 * same).logpdf(y)
        for sd in (1e3, 1e4)
    ]
    assert (logs[0] - logs[1]) / np.log(10) == pytest.approx(levels, abs=0.02)
