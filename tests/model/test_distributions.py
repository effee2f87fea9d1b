"""Prior distributions: their text, their supports, and densities that integrate to one."""

import numpy as np
import pytest
from scipy import integrate

from model.distributions import Distribution, Kind, lkj_log_normalizer, parse_distribution
from model.errors import InvalidModel

GOOD = [
    "normal(0, 10)",
    "student_t(3, 288.7, 59.3)",
    "cauchy(0, 2.5)",
    "laplace(1, 0.5)",
    "uniform(0, 100)",
    "exponential(0.5)",
    "gamma(2, 0.1)",
    "inv_gamma(0.4, 0.3)",
    "lognormal(0, 1)",
    "beta(2, 3)",
    "lkj(2)",
    "constant(3)",
]


@pytest.mark.parametrize("text", GOOD)
def test_text_reads_back(text: str) -> None:
    assert str(parse_distribution(text)) == text


@pytest.mark.parametrize("text", ["", "  ", "(flat)"])
def test_flat(text: str) -> None:
    assert parse_distribution(text) == Distribution(Kind.FLAT)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("normall(0, 1)", "unknown-distribution"),
        ("normal(0)", "invalid-prior"),
        ("normal(0, 1, 2)", "invalid-prior"),
        ("normal(0, -1)", "invalid-prior"),
        ("normal(0, 0)", "invalid-prior"),
        ("normal(0, 1e999)", "invalid-prior"),
        ("normal(0, nan)", "invalid-prior"),
        ("normal(0, 1) + 2", "invalid-prior"),
        ("normal(0, __import__('os'))", "invalid-prior"),
        ("uniform(5, 5)", "invalid-prior"),
        ("student_t(0, 0, 1)", "invalid-prior"),
        ("5", "invalid-prior"),
        ("normal(" + "0" * 10_000 + ", 1)", "invalid-prior"),
    ],
)
def test_a_bad_prior_is_refused(text: str, code: str) -> None:
    with pytest.raises(InvalidModel) as error:
        parse_distribution(text)
    assert [issue.code for issue in error.value.issues] == [code]


@pytest.mark.parametrize(
    "text", ["normal(1, 2)", "student_t(3, 1, 2)", "cauchy(0, 2)", "gamma(2, 1)", "uniform(0, 3)"]
)
def test_a_half_distribution_integrates_to_one(text: str) -> None:
    distribution = parse_distribution(text)
    low, high = distribution.support
    lower = max(0.0, low)
    mass, _ = integrate.quad(lambda x: np.exp(distribution.log_density(x)), lower, min(high, np.inf))
    assert mass == pytest.approx(np.exp(distribution.log_mass(lower, high)), rel=1e-6)


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0])
def test_the_lkj_constant_of_two_coefficients(shape: float) -> None:
    mass, _ = integrate.quad(lambda r: (1 - r**2) ** (shape - 1), -1, 1)
    assert lkj_log_normalizer(shape, 2) == pytest.approx(np.log(mass), rel=1e-4)


def test_the_lkj_constant_of_three_coefficients() -> None:
    def density(c: float, b: float, a: float) -> float:
        determinant = 1 + 2 * a * b * c - a * a - b * b - c * c
        return max(determinant, 0.0)  # shape 2: the determinant to the power of one

    mass, _ = integrate.tplquad(density, -1, 1, -1, 1, -1, 1, epsabs=1e-3)
    assert lkj_log_normalizer(2.0, 3) == pytest.approx(np.log(mass), abs=2e-3)


def test_quantiles_of_a_truncated_prior() -> None:
    drawn = parse_distribution("normal(0, 1)").ppf(np.linspace(0.01, 0.99, 99), 0.0, np.inf)
    assert np.all(drawn > 0)
    assert drawn[49] == pytest.approx(0.6744898, rel=1e-6)
