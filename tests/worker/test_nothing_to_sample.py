"""Models that leave nothing to walk: their draws are independent ones of the exact normal posterior.

Its mean, covariance and evidence are computed by dense matrices. Models all of whose parameters are constants are here
too.
"""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from model.errors import InvalidModel
from model.priors import PriorStatement
from model.results.summary import scalars
from tests.worker.models import columns, plan
from worker.fitting import FitResult, _Silent, fit

SIGMA, SD = PriorStatement("constant(0.8)", "sigma"), PriorStatement("constant(0.5)", "sd")
INTERCEPT, B = PriorStatement("normal(1, 2)", "Intercept"), PriorStatement("normal(0.5, 1.5)", "b")
FLAT = PriorStatement("", "Intercept")

Model = tuple[str, tuple[PriorStatement, ...], dict[str, Any]]

MODELS: dict[str, Model] = {
    "no groups": ("y ~ x + w", (SIGMA, INTERCEPT, B), {}),
    "raw intercept": ("y ~ x + w", (SIGMA, INTERCEPT, B), {"center": False}),
    "intercept alone": ("y ~ 1", (SIGMA, INTERCEPT), {}),
    "no intercept": ("y ~ 0 + x + w", (SIGMA, B), {}),
    "offset and weights": ("y | weights(wt) ~ x + offset(off)", (SIGMA, INTERCEPT, B), {}),
    "groups": ("y ~ x + (1 | g)", (SIGMA, SD, INTERCEPT, B), {}),
    "independent slopes": ("y ~ x + (1 + x || g)", (SIGMA, SD, INTERCEPT, B), {}),
    "crossed": ("y ~ x + (1 | g) + (1 | h)", (SIGMA, SD, INTERCEPT, B), {}),
    "known errors": ("y | se(err) ~ x", (INTERCEPT, B), {}),
    "known errors and groups": ("y | se(err) ~ x + (1 | g)", (SD, INTERCEPT, B), {}),
    "flat": ("y ~ x + w + (1 | g)", (SIGMA, SD, FLAT), {}),
    "one constant": ("y ~ x + w", (SIGMA, INTERCEPT, B, PriorStatement("constant(0.3)", "b", "x")), {}),
}


def exact(formula: str, priors: tuple[PriorStatement, ...], center: bool) -> tuple[Any, Any, float | None]:
    """Mean and covariance of the raw coefficients, and the log evidence, by dense matrices."""
    data = columns()
    y, rows = data["y"] - (data["off"] if "offset" in formula else 0.0), len(data["y"])
    intercept = "0 +" not in formula
    names = [name for name in "xw" if name in formula.split("~")[1].split("(1")[0]]
    design = np.column_stack([np.ones(rows)] * intercept + [data[name] for name in names])
    variance = data["err"] ** 2 if "se(" in formula else np.full(rows, 0.8**2)
    covariance = np.diag(variance / (data["wt"] if "weights" in formula else 1.0))
    for factor in "gh":
        if f"| {factor})" in formula:
            same = np.equal.outer(np.array(data[factor]), np.array(data[factor]))
            covariance = covariance + 0.25 * same
            if "x ||" in formula:
                covariance = covariance + 0.25 * same * np.outer(data["x"], data["x"])
    # The priors are of the intercept at the means of the predictors.
    to_prior = np.eye(design.shape[1])
    if intercept and center:
        to_prior[0] = design.mean(axis=0)
    flat, fixed = FLAT in priors, "constant(0.3)" in [row.prior for row in priors]
    location = np.array([1.0] * intercept + [0.3 if fixed and n == "x" else 0.5 for n in names])
    scale = np.array([2.0] * intercept + [1e-4 if fixed and n == "x" else 1.5 for n in names])
    precision = np.zeros(len(scale)) if flat else scale**-2.0
    lower = np.linalg.cholesky(covariance)
    white, target = np.linalg.solve(lower, design), np.linalg.solve(lower, y)
    posterior = np.linalg.inv(white.T @ white + to_prior.T @ (precision[:, None] * to_prior))
    mean = posterior @ (white.T @ target + to_prior.T @ (precision * location))
    if flat or "weights" in formula:
        return mean, posterior, None
    spread = design @ np.linalg.inv(to_prior)
    marginal = stats.multivariate_normal(spread @ location, covariance + (spread * scale**2) @ spread.T)
    return mean, posterior, float(marginal.logpdf(y))


def fitted(model: Model, **changes: Any) -> FitResult:
    formula, priors, own = model
    return fit(plan(formula, priors, **own, **changes), _Silent())


@pytest.mark.parametrize("name", MODELS)
def test_the_draws_are_of_the_exact_normal_posterior(name: str) -> None:
    formula, priors, own = MODELS[name]
    result = fitted(MODELS[name])
    draws = result.posterior.population.reshape(4000, -1)
    mean, covariance, evidence = exact(formula, priors, own.get("center", True))
    sd = np.sqrt(np.diag(covariance))
    free = sd > 1e-3
    error = (draws.mean(axis=0) - mean)[free] / sd[free]
    assert np.abs(error).max() < 4.5 / np.sqrt(4000)
    white = np.linalg.solve(np.linalg.cholesky(covariance[np.ix_(free, free)]), (draws - mean)[:, free].T)
    # Of white noise all means of squares and products are 1 and 0, within a few of their standard errors.
    np.testing.assert_allclose(white @ white.T / 4000, np.eye(free.sum()), atol=4.5 * np.sqrt(2 / 4000))
    told = result.summary["diagnostics"]
    assert told["r_hat_max"] < 1.01
    assert told["ess_bulk_min"] > 3000
    assert (told["acceptance"], told["pareto_k"], result.method) == (1.0, 0.0, "collapsed")
    assert result.method_reason.endswith("no hyperparameter is left to sample, so the draws are independent")
    assert [notice.code for notice in result.warnings] == []
    if evidence is not None:
        assert told["log_marginal_likelihood"] == pytest.approx(evidence, abs=1e-5)


def test_deviations_are_drawn_exactly_too() -> None:
    """Those of crossed factors, one of which is eliminated densely: Henderson's equations."""
    result = fitted(MODELS["crossed"])
    data = columns()
    names = {factor: sorted(set(data[factor])) for factor in "gh"}
    z = [np.equal.outer(np.array(data[factor]), np.array(names[factor])).astype(float) for factor in "gh"]
    x = data["x"] - data["x"].mean()
    design = np.column_stack([np.ones(len(x)), x, *z])
    precision = np.array([2.0**-2, 1.5**-2] + [0.5**-2] * 10)
    covariance = np.linalg.inv(design.T @ design / 0.8**2 + np.diag(precision))
    mean = covariance @ (design.T @ data["y"] / 0.8**2 + precision * np.array([1.0, 0.5] + [0.0] * 10))
    found = np.concatenate(
        [result.posterior.deviations(factor, range(len(names[factor])))[..., 0] for factor in "gh"], axis=-1
    ).reshape(4000, 10)
    sd = np.sqrt(np.diag(covariance))[2:]
    assert np.abs((found.mean(axis=0) - mean[2:]) / sd).max() < 4.5 / np.sqrt(4000)
    np.testing.assert_allclose(found.std(axis=0) / sd, 1.0, atol=0.06)


def test_many_crossed_levels_are_eliminated_once() -> None:
    rng = np.random.default_rng(4)
    rows = 900
    data = {
        "y": rng.normal(size=rows),
        "a": [f"a{i}" for i in rng.integers(0, 120, rows)],
        "b": [f"b{i}" for i in rng.integers(0, 70, rows)],
    }
    result = fitted(("y ~ 1 + (1 | a) + (1 | b)", (SIGMA, SD, INTERCEPT), {}), data=data)
    covariance = 0.64 * np.eye(rows)
    for factor in "ab":
        covariance += 0.25 * np.equal.outer(np.array(data[factor]), np.array(data[factor]))
    solved = np.linalg.solve(covariance, np.column_stack([np.ones(rows), data["y"]]))
    precision = solved[:, 0].sum() + 0.25
    mean = (solved[:, 1].sum() + 0.25) / precision
    draws = result.posterior.population.ravel()
    assert abs(draws.mean() - mean) < 4.5 / np.sqrt(4000 * precision)
    assert draws.std() == pytest.approx(precision**-0.5, rel=0.06)
    told = result.summary["diagnostics"]
    evidence = stats.multivariate_normal(np.ones(rows), covariance + 4.0).logpdf(data["y"])
    assert told["log_marginal_likelihood"] == pytest.approx(evidence, abs=1e-4)
    assert told["eliminations"] == 1


MIXED: dict[str, Model] = {
    "sds known, correlation free": ("y ~ x + (1 + x | g)", (SIGMA, SD, INTERCEPT, B), {}),
    "sigma alone free": (
        "y ~ x",
        (PriorStatement("constant(0.5)", "b"), PriorStatement("constant(1)", "Intercept")),
        {},
    ),
    "one coefficient free, its prior not conjugate": (
        "y ~ x",
        (SIGMA, PriorStatement("laplace(0, 1)", "b"), PriorStatement("constant(1)", "Intercept")),
        {},
    ),
    "no coefficients": ("y ~ 0 + (1 | g)", (), {}),
    "neither coefficients nor groups": ("y ~ 0", (), {}),
}


@pytest.mark.parametrize("name", MIXED)
def test_what_is_free_is_sampled_beside_constants(name: str) -> None:
    told = fitted(MIXED[name]).summary["diagnostics"]
    assert told["r_hat_max"] < 1.01
    assert told["ess_bulk_min"] > 1000


CONSTANT = {
    "b": PriorStatement("constant(0.1)", "b"),
    "Intercept": PriorStatement("constant(0.3)", "Intercept"),
    "sigma": PriorStatement("constant(0.8)", "sigma"),
    "nu": PriorStatement("constant(4)", "nu"),
    "shape": PriorStatement("constant(3)", "shape"),
}


@pytest.mark.parametrize(
    ("family", "method", "own"),
    [
        ("gaussian", "auto", ("sigma",)),
        ("gaussian", "nuts", ("sigma",)),
        ("student", "auto", ("sigma", "nu")),
        ("poisson", "auto", ()),
        ("negbinomial", "auto", ("shape",)),
        ("bernoulli", "auto", ()),
        ("binomial", "auto", ()),
    ],
)
def test_where_all_is_constant_the_draws_are_the_constants(
    family: str, method: str, own: tuple[str, ...]
) -> None:
    data = columns()
    count = np.random.default_rng(2).poisson(3, 60)
    data["y"] = data["y"] if own[:1] == ("sigma",) else count % 2 if family == "bernoulli" else count
    response = "y | trials(n)" if family == "binomial" else "y"
    data["n"] = np.full(60, 20)
    priors = tuple(CONSTANT[name] for name in ("b", "Intercept", *own))
    result = fitted((f"{response} ~ x", priors, {"family": family}), data=data, sampler={"method": method})
    drawn = scalars(result.posterior)
    expected = {name: float(CONSTANT[name].prior[9:-1]) for name in own} | {"b[x]": 0.1}
    expected["b[Intercept]"] = 0.3 - 0.1 * data["x"].mean()
    assert drawn.keys() == expected.keys()
    for name, value in expected.items():
        assert drawn[name].shape == (4, 1000)
        np.testing.assert_allclose(drawn[name], value, rtol=1e-12)
    told = result.summary["diagnostics"]
    assert (told["r_hat_max"], told["ess_bulk_min"], told["divergences"]) == (None, None, 0)
    assert [row["sd"] for row in result.summary["population"]] == [0.0, 0.0]
    assert [(notice.code, notice.severity) for notice in result.warnings] == [("nothing_estimated", "info")]
    assert result.method_reason.endswith("every parameter is constant, so nothing was sampled")


def test_a_model_without_any_parameter_is_refused() -> None:
    with pytest.raises(InvalidModel) as error:
        plan("y | se(err) ~ 0", ())
    assert [issue.code for issue in error.value.issues] == ["no-parameters"]
