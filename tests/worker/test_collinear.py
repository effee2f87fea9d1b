"""Columns that are combinations of others, whose coefficients only their priors tell apart: the exact posterior."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from model.frame.table import Table
from model.predictions.predict import predict
from model.priors import PriorStatement
from tests.worker.models import plan
from tests.worker.silent import Silent
from worker.fitting import FitResult, fit

ROWS = 60
RNG = np.random.default_rng(11)
X = RNG.normal(2, 1, ROWS)
DATA: dict[str, Any] = {
    "x": X,
    "double": 2 * X + 3,
    "far": 1e6 + X,
    "farther": 3 * (1e6 + X) - 7,
    "old": (np.arange(ROWS) % 3 == 0).astype(float),
    "young": (np.arange(ROWS) % 3 > 0).astype(float),
    "y": X + RNG.normal(size=ROWS),
    "g": [f"g{i % 6}" for i in range(ROWS)],
    "first": np.repeat([1.0, 0.0], ROWS // 2),
    "half": np.repeat([0.0, 1.0], ROWS // 2),
}
SIGMA, SD = PriorStatement("constant(0.8)", "sigma"), PriorStatement("constant(0.5)", "sd")


def fitted(formula: str, b: str, *priors: PriorStatement, **changes: Any) -> FitResult:
    own = PriorStatement("normal(1, 2)", "Intercept"), PriorStatement(b, "b"), *priors
    return fit(plan(formula, own, data=changes.pop("data", DATA), **changes), Silent())


def exact(columns: list[str], sd: float, center: bool, grouped: bool, weight: Any = 1.0) -> tuple[Any, ...]:
    """Mean and covariance of the coefficients, and the log evidence; normal(0, sd) is the prior of slopes.

    Slopes are of centered columns, so that it does not matter how far from zero they are.
    """
    design = np.column_stack([np.ones(ROWS), *(DATA[name] for name in columns)])
    to_prior = np.eye(design.shape[1])
    if center:
        to_prior[0] = design.mean(axis=0)
    spread = design @ np.linalg.inv(to_prior)
    if center:
        spread[:, 1:] = design[:, 1:] - design[:, 1:].mean(axis=0)
    covariance = 0.64 * np.eye(ROWS)
    if grouped:
        covariance = covariance + 0.25 * np.equal.outer(np.array(DATA["g"]), np.array(DATA["g"]))
    used = np.broadcast_to(weight, ROWS) > 0
    spread, covariance, y = spread[used], covariance[np.ix_(used, used)], DATA["y"][used]
    location, scale = np.zeros(len(to_prior)), np.full(len(to_prior), sd)
    location[0], scale[0] = 1.0, 2.0
    # Conditioning the prior on the responses needs no inverse of what is singular.
    marginal = covariance + (spread * scale**2) @ spread.T
    gain = np.linalg.solve(marginal, spread * scale**2).T
    mean = location + gain @ (y - spread @ location)
    left = np.diag(scale**2) - gain @ (spread * scale**2)
    back = np.linalg.inv(to_prior)
    evidence = stats.multivariate_normal(spread @ location, marginal).logpdf(y)
    return back @ mean, back @ left @ back.T, float(evidence)


@pytest.mark.parametrize(
    ("formula", "columns", "sd", "center"),
    [
        ("y ~ x + double", ["x", "double"], 1.0, True),
        ("y ~ x + double", ["x", "double"], 300.0, True),
        ("y ~ far + farther", ["far", "farther"], 1.0, True),
        ("y ~ old + young", ["old", "young"], 1.0, True),
        ("y ~ old + young", ["old", "young"], 1.0, False),
        ("y ~ x + double + (1 | g)", ["x", "double"], 1.0, True),
    ],
)
def test_priors_tell_apart_what_the_data_do_not(
    formula: str, columns: list[str], sd: float, center: bool
) -> None:
    own = (SD,) if "|" in formula else ()
    result = fitted(formula, f"normal(0, {sd})", SIGMA, *own, center=center)
    draws = result.posterior.population.reshape(4000, -1)
    mean, covariance, evidence = exact(columns, sd, center, "|" in formula)
    scale = np.sqrt(np.diag(covariance))
    assert np.abs((draws.mean(axis=0) - mean) / scale).max() < 4.5 / np.sqrt(4000)
    np.testing.assert_allclose(draws.std(axis=0) / scale, 1.0, atol=0.06)
    # What the data know is the slope on both together.
    direction = np.array([0.0, 1.0, np.polyfit(DATA[columns[0]], DATA[columns[1]], 1)[0]])
    assert (draws @ direction).std() == pytest.approx(np.sqrt(direction @ covariance @ direction), rel=0.06)
    found = result.summary["diagnostics"]["log_marginal_likelihood"]
    assert found == pytest.approx(evidence, abs=1e-4)
    (notice,) = [notice for notice in result.warnings if notice.code == "collinear"]
    assert notice.severity == "warning"
    assert {f"b[{columns[0]}]", f"b[{columns[1]}]"} <= set(notice.parameters)


def test_predictions_off_the_combination_rest_on_the_priors() -> None:
    post = fitted("y ~ x + double", "normal(0, 1)", SIGMA).posterior
    mean, covariance, _ = exact(["x", "double"], 1.0, True, grouped=False)
    found = predict(post, Table.from_columns({"x": [2.0, 2.0], "double": [7.0, 9.0]}))
    for row, at in enumerate(np.array([[1.0, 2.0, 7.0], [1.0, 2.0, 9.0]])):
        sd = np.sqrt(at @ covariance @ at)
        assert abs(found["mean"][row] - at @ mean) < 4.5 * sd / np.sqrt(4000)
        assert found["sd"][row] == pytest.approx(sd, rel=0.06)
    assert found["sd"][1] > 5 * found["sd"][0]


def test_a_combination_among_the_rows_that_have_weight() -> None:
    result = fitted("y | weights(first) ~ x + half", "normal(0, 1)", SIGMA)
    draws = result.posterior.population.reshape(4000, -1)
    mean, covariance, _ = exact(["x", "half"], 1.0, True, grouped=False, weight=DATA["first"])
    assert np.abs((draws.mean(axis=0) - mean) / np.sqrt(np.diag(covariance))).max() < 4.5 / np.sqrt(4000)
    np.testing.assert_allclose(draws.std(axis=0) / np.sqrt(np.diag(covariance)), 1.0, atol=0.06)


@pytest.mark.parametrize(
    "prior", ["student_t(3, 0, 1)", "laplace(0, 1)", "uniform(-3, 3)", "normal(0, 1000000)"]
)
def test_any_proper_prior_will_do(prior: str) -> None:
    """Each coefficient stays within its prior, though their combination is known to a fraction of that."""
    result = fitted("y ~ x + double", prior, PriorStatement("exponential(1)", "sigma"))
    told = result.summary["diagnostics"]
    assert told["r_hat_max"] < 1.02
    draws = result.posterior.population.reshape(4000, -1)
    known = draws[:, 1] + 2 * draws[:, 2]
    plain = np.polyfit(DATA["x"], DATA["y"], 1)[0]
    assert known.mean() == pytest.approx(plain, abs=0.1)
    assert draws[:, 2].std() > 2 * known.std()


def test_fewer_rows_than_coefficients_by_both_methods() -> None:
    rng = np.random.default_rng(5)
    data = {f"x{i}": rng.normal(size=5) for i in range(6)} | {"y": rng.normal(size=5)}
    formula, sigma = "y ~ x0 + x1 + x2 + x3 + x4 + x5", PriorStatement("gamma(20, 20)", "sigma")
    both = [
        fitted(formula, "normal(0, 1)", sigma, data=data, sampler={"method": method})
        for method in ("collapsed", "nuts")
    ]
    assert [result.method for result in both] == ["collapsed", "nuts"]
    for one, other in zip(*(result.summary["population"] for result in both), strict=True):
        error = np.hypot(one["mcse_mean"], other["mcse_mean"])
        assert abs(one["mean"] - other["mean"]) < 5 * error
        assert one["sd"] == pytest.approx(other["sd"], rel=0.1)
