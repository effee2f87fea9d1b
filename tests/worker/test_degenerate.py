"""Data that leave a model little to say: an answer with a warning, or a clear error; never NaN, never a hang."""

import json
from typing import Any

import numpy as np
import pytest

from model.errors import InvalidModel
from model.priors import PriorStatement
from tests.worker import glmms
from tests.worker.models import plan
from tests.worker.silent import Silent
from worker.batch import padded
from worker.collapsed import executable, explains_all, way_without_residual
from worker.fitting import FitResult, fit
from worker.padding import collapsed_problem

RNG = np.random.default_rng(0)
N = 60
G = np.arange(N) % 6
X = RNG.normal(size=N)
NOISE = RNG.normal(size=N)


def fitted(formula: str, **data: Any) -> FitResult:
    result = fit(plan(formula, (), data=data, sampler={"draws": 500}), Silent())
    json.dumps(result.summary, allow_nan=False)
    return result


def codes(result: FitResult) -> set[str]:
    return {notice.code for notice in result.warnings}


def test_a_group_level_sd_of_zero() -> None:
    """Like Dyestuff2: the groups differ by less than chance would have them."""
    result = fitted("y ~ 1 + (1 | g)", y=5 + 3.7 * NOISE[:30], g=G[:30])
    assert result.method == "collapsed"
    assert "sd_near_boundary" in codes(result)
    assert result.summary["diagnostics"]["ess_bulk_min"] > 400


def test_one_row_in_every_group() -> None:
    result = fitted("y ~ 1 + (1 | g)", y=5 + NOISE, g=np.arange(N))
    assert "unidentified_residual" in codes(result)


def test_two_groups() -> None:
    result = fitted("y ~ x + (x | g)", y=X + NOISE, x=X, g=np.arange(N) % 2)
    assert "sd_near_boundary" in codes(result)


@pytest.mark.parametrize("left", [0.0, 1e-9])
@pytest.mark.parametrize("between", [0.0, 1.0])
def test_a_response_that_is_explained_exactly(left: float, between: float) -> None:
    with pytest.raises(InvalidModel) as error:
        fitted("y ~ x + (1 | g)", y=2 + 3 * X + between * G + left * NOISE, x=X, g=G)
    assert [issue.code for issue in error.value.issues] == ["perfect-fit"]


def test_many_levels_of_few_rows_are_no_perfect_fit() -> None:
    """Rounding leaves no density at a residual sd of next to nothing; that says nothing of the data."""
    source = np.random.default_rng(0)
    g, x = source.integers(0, 2000, 5000), source.normal(size=5000)
    made = plan("y ~ x + (1 + x | g)", (), data={"y": source.normal(size=5000), "x": x, "g": g})
    problem = collapsed_problem(made, made.design())
    batch = problem.shape.batch
    evaluate, nothing = executable(problem.shape, problem.data), np.zeros((problem.shape.carried, batch))

    def log_density(points: Any) -> Any:
        found, _ = evaluate(padded(problem, points, batch), nothing, np.array(len(points)), problem.data)
        return np.asarray(found)[: len(points)]

    assert np.isnan(log_density(problem.without_residual[problem.active][None])[0])
    assert not explains_all(log_density(way_without_residual(problem)), log_density, problem)


def test_a_constant_response() -> None:
    with pytest.raises(InvalidModel) as error:
        fitted("y ~ x + (1 | g)", y=np.ones(N), x=X, g=G)
    assert [issue.code for issue in error.value.issues] == ["constant-response"]


def test_fewer_rows_than_coefficients() -> None:
    with pytest.raises(InvalidModel) as error:
        fitted("y ~ x + w + v + (1 | g)", y=NOISE[:3], x=X[:3], w=X[3:6], v=X[6:9], g=[1, 2, 1])
    assert [issue.code for issue in error.value.issues] == ["rank-deficient"]


def test_units_far_apart() -> None:
    """The default prior of a slope's sd is in the response's unit, here 1e18 times too small for it."""
    result = fitted("y ~ x + (x | g)", y=1e9 * (X + NOISE + 0.5 * G), x=1e-9 * X, g=G)
    assert result.method == "collapsed"
    slope = result.summary["population"][1]
    assert slope["mean"] == pytest.approx(1e18, rel=0.5)


def test_known_errors_leave_no_sigma() -> None:
    result = fitted("y | se(s) ~ x + (1 | g)", y=X + NOISE, x=X, g=G, s=np.full(N, 1.0))
    assert result.summary["family_parameters"] == []
    assert result.summary["population"][1]["mean"] == pytest.approx(1.0, abs=0.5)
    assert result.posterior.deviations("g", [0]).shape == (4, 500, 1, 1)


def test_everything_known_but_the_intercept() -> None:
    priors = tuple(PriorStatement(f"constant({v})", c) for v, c in ((1, "b"), (0.5, "sd"), (1, "sigma")))
    data = {"y": X + NOISE, "x": X, "g": G}
    result = fit(plan("y ~ x + (1 | g)", priors, data=data, sampler={"draws": 500}), Silent())
    assert result.summary["population"][1]["mean"] == 1.0
    assert result.summary["population"][1]["r_hat"] is None
    assert result.summary["family_parameters"][0]["sd"] == 0.0


def by_nuts(family: str, link: str, **data: Any) -> FitResult:
    made = glmms.plan(family, link, data={"x": X, "g": G, **data}, priors=(), draws=200)
    result = fit(made, Silent())
    assert result.method == "nuts"
    assert result.summary["diagnostics"]["divergences"] < 40
    json.dumps(result.summary, allow_nan=False)
    return result


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_nuts_and_the_scale_of_a_predictor(scale: float) -> None:
    counts = np.random.default_rng(1).poisson(np.exp(X)).astype(float)
    slope = by_nuts("poisson", "log", x=scale * X, y=counts).summary["population"][1]
    assert slope["mean"] * scale == pytest.approx(1.0, abs=0.3)
    assert slope["sd"] * scale == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_nuts_and_the_scale_of_a_response(scale: float) -> None:
    slope = by_nuts("student", "identity", y=scale * (X + NOISE)).summary["population"][1]
    assert slope["mean"] / scale == pytest.approx(1.0, abs=0.5)
    assert slope["sd"] / scale == pytest.approx(0.13, abs=0.06)


def test_nuts_with_one_row_in_every_group() -> None:
    binary = (X + NOISE > 0).astype(float)
    result = by_nuts("bernoulli", "logit", g=np.arange(N), y=binary)
    # A row of its own says nothing of how far the groups lie apart: warned of, not hidden.
    assert codes(result) & {"separation", "high_r_hat", "low_ess"}


@pytest.mark.parametrize("family", ["bernoulli", "poisson", "negbinomial", "student"])
def test_a_constant_response_of_any_family(family: str) -> None:
    with pytest.raises(InvalidModel) as error:
        by_nuts(family, glmms.EACH[[name for name, _ in glmms.EACH].index(family)][1], y=np.zeros(N))
    assert [issue.code for issue in error.value.issues] == ["constant-response"]
