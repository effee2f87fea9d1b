"""What predictions must equal in every family, whatever the posterior: here it is made by hand."""

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model.errors import InvalidModel
from model.frame.encoding import encode
from model.frame.table import Table
from model.predictions.predict import Kind, figures, predict, predicted_draws
from model.results.effects import StoredEffects
from model.results.posterior import Posterior
from model.spec import FitPlan, FitSpec, prepare
from tests.service.samples import make_posterior

ROWS = 48
RNG = np.random.default_rng(5)
COLUMNS: dict[str, Any] = {
    "x": RNG.normal(size=ROWS).round(3).tolist(),
    "f": [("low", "mid", "high")[i % 3] for i in range(ROWS)],
    "a": [f"a{i % 4}" for i in range(ROWS)],
    "b": [f"b{i % 3}" for i in range(ROWS)],
    "y": RNG.normal(size=ROWS).round(3).tolist(),
    "positive": RNG.uniform(1, 3, ROWS).round(3).tolist(),
    "yes": RNG.integers(0, 2, ROWS).tolist(),
    "hits": RNG.integers(0, 5, ROWS).tolist(),
    "misses": RNG.integers(1, 5, ROWS).tolist(),
    "n": [9] * ROWS,
    "count": RNG.poisson(3, ROWS).tolist(),
}
RIGHT = "~ x + f + (1 + x | a) + (1 | a:b)"
LEVELS = (4, 12)
FAMILIES = [
    ("y", "gaussian", "identity"),
    ("positive", "gaussian", "log"),
    ("y", "student", "identity"),
    ("yes", "bernoulli", "logit"),
    ("yes", "bernoulli", "probit"),
    ("hits | trials(n)", "binomial", "logit"),
    ("cbind(hits, misses)", "binomial", "cloglog"),
    ("count", "poisson", "log"),
    ("count", "negbinomial", "log"),
]


def planned(left: str, family: str, link: str, right: str = RIGHT) -> FitPlan:
    return prepare(FitSpec(f"{left} {right}", Table.from_columns(COLUMNS), family=family, link=link))


def made(left: str, family: str, link: str, draws: int = 50) -> tuple[FitPlan, Posterior]:
    plan = planned(left, family, link)
    posterior = make_posterior(plan, draws=draws)
    # Small coefficients and deviations, so that no mean overflows and no probability is 1.
    factors = {
        name: replace(factor, effects=StoredEffects(0.2 * posterior.deviations(name, range(levels))))
        for (name, factor), levels in zip(posterior.factors.items(), LEVELS, strict=True)
    }
    parameters = {name: (5 if name == "nu" else 0) + values for name, values in posterior.parameters.items()}
    population = 0.2 * posterior.population
    return plan, replace(posterior, population=population, factors=factors, parameters=parameters)


@pytest.mark.parametrize(("left", "family", "link"), FAMILIES)
def test_the_training_rows_are_x_beta_plus_z_u_on_the_scale_that_was_asked_for(
    left: str, family: str, link: str
) -> None:
    plan, posterior = made(left, family, link)
    design = plan.design()
    eta = posterior.population @ design.x.T
    for factor in design.factors:
        u = posterior.deviations(factor.name, range(len(factor.levels)))
        eta = eta + np.einsum("cdrk,rk->cdr", u[:, :, factor.index], factor.z)
    new = encode(posterior.encoding, plan.table, response=False)
    np.testing.assert_allclose(predicted_draws(posterior, new, kind="linpred"), eta, rtol=1e-10, atol=1e-12)
    mean = posterior.family.inverse_link(eta) * (9 if "trials" in left else 1)
    np.testing.assert_allclose(predicted_draws(posterior, new, kind="epred"), mean, rtol=1e-10)


@pytest.mark.parametrize(("left", "family", "link"), FAMILIES)
def test_new_responses_have_the_expected_mean_and_the_variance_of_their_family(
    left: str, family: str, link: str
) -> None:
    plan, posterior = made(left, family, link, draws=2000)
    design = encode(posterior.encoding, plan.table, response=False)
    expected, drawn = (
        np.moveaxis(predicted_draws(posterior, design, kind=kind), 2, 0).reshape(design.rows, -1)
        for kind in ("epred", "predict")
    )
    own = {name: values.ravel() for name, values in posterior.parameters.items()}
    trials = np.ones(design.rows) if design.trials is None else design.trials
    if "trials" in left:
        mean = expected / trials[:, None]
    else:
        mean, expected = expected, expected * trials[:, None]
    standardized = (drawn - expected) / np.sqrt(posterior.family.variance(mean, own) * trials[:, None])
    size = drawn.shape[1]
    np.testing.assert_array_less(np.abs(standardized.mean(axis=1)), 4.5 / np.sqrt(size))
    # Heavy tails make for wide errors of a variance; over all rows together they are small.
    assert (standardized**2).mean() == pytest.approx(1.0, abs=0.05)


def test_new_counts_of_cbind_have_as_many_trials_as_both_sides_say() -> None:
    _, posterior = made("cbind(hits, misses)", "binomial", "logit")
    predictors = {name: COLUMNS[name][:3] for name in ("x", "f", "a", "b")}
    rows = Table.from_columns({**predictors, "hits": [0] * 3, "misses": [7] * 3})
    design = encode(posterior.encoding, rows, response=False)
    assert predicted_draws(posterior, design, kind="predict").max() == 7
    probability = predict(posterior, rows)["mean"]
    np.testing.assert_array_equal(probability, predict(posterior, Table.from_columns(predictors))["mean"])
    assert np.all((probability > 0) & (probability < 1))
    with pytest.raises(InvalidModel, match=r"both sides of cbind"):
        predict(posterior, Table.from_columns(predictors), kind="predict")


@pytest.mark.parametrize("kind", ["linpred", "epred", "predict"])
def test_a_row_has_the_same_draws_whatever_stands_after_it(kind: Kind) -> None:
    _, posterior = made("y", "gaussian", "identity", draws=3000)
    rows = Table.from_columns({name: COLUMNS[name] for name in ("x", "f", "a", "b")})
    few = rows.take(np.arange(11))
    whole, part = (
        predicted_draws(posterior, encode(posterior.encoding, table, response=False), kind=kind)
        for table in (rows, few)
    )
    np.testing.assert_allclose(whole[:, :, :11], part, rtol=1e-12)


def test_each_factor_is_treated_by_itself() -> None:
    _, posterior = made("y", "gaussian", "identity")
    row = {"x": [0.5], "f": ["low"], "a": ["a1"], "b": ["new"]}
    design = encode(posterior.encoding, Table.from_columns(row), response=False)
    options: dict[str, Any] = {"kind": "linpred"}
    both = predicted_draws(posterior, design, new_levels="sample", **options)
    known = predicted_draws(posterior, design, group_effects=["a"], **options)
    cell = posterior.new_levels["a:b"].draw(("a1", "new"), posterior.seed)
    np.testing.assert_allclose(both[:, :, 0].ravel(), known[:, :, 0].ravel() + cell[0], rtol=1e-10)
    np.testing.assert_allclose(predicted_draws(posterior, design, new_levels="population", **options), known)
    with pytest.raises(InvalidModel) as error:
        predicted_draws(posterior, design, **options)
    assert [issue.column for issue in error.value.issues] == ["a:b"]


def test_new_levels_are_independent_of_each_other_and_shared_by_all_terms_of_their_factor() -> None:
    _, posterior = made("y", "gaussian", "identity", draws=4000)
    row = {"x": [0.0, 1.0, 0.0], "f": ["low"] * 3, "a": ["new", "new", "newer"], "b": ["b1"] * 3}
    design = encode(posterior.encoding, Table.from_columns(row), response=False)
    drawn = predicted_draws(posterior, design, kind="linpred", group_effects=["a"], new_levels="sample")
    fixed = posterior.population @ design.x.T
    first, second, other = np.moveaxis(drawn - fixed, 2, 0).reshape(3, -1)
    u = posterior.new_levels["a"].draw(("new",), posterior.seed)
    np.testing.assert_allclose([first, second], [u[0], u[0] + u[1]], atol=1e-12)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.04
    again = predicted_draws(
        posterior, design, kind="linpred", group_effects=["a"], new_levels="sample", seed=posterior.seed + 1
    )
    assert not np.allclose(again, drawn)


def test_a_null_level_has_a_u_of_its_own_and_is_no_known_group() -> None:
    _, posterior = made("y", "gaussian", "identity")
    row = {"x": [0.0, 0.0], "f": ["low"] * 2, "a": [None, None], "b": ["b1"] * 2}
    table = Table.from_columns(row)
    drawn = predict(posterior, table, new_levels="sample")
    assert drawn["mean"][0] != drawn["mean"][1]
    np.testing.assert_array_equal(
        predict(posterior, table, new_levels="population")["mean"],
        predict(posterior, table, group_effects="none")["mean"],
    )
    with pytest.raises(InvalidModel, match="null"):
        predict(posterior, table)


def test_an_unseen_level_of_a_covariate_is_always_refused_with_the_levels_there_are() -> None:
    _, posterior = made("y", "gaussian", "identity")
    table = Table.from_columns({"x": [0.0], "f": ["none"], "a": ["a1"], "b": ["b1"]})
    for options in ({}, {"new_levels": "sample"}, {"group_effects": "none"}):
        with pytest.raises(InvalidModel, match="'high', 'low', 'mid'"):
            predict(posterior, table, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("terms", "same_as"),
    [
        (["1 + x | a"], ["a"]),
        (["(1 | a)", "(0 + x | a)"], ["a"]),
        (["1 + x || a", "1 | a:b"], "all"),
        (["(1 | a / b)", "x | a"], "all"),
        ([], "none"),
    ],
)
def test_terms_are_factors_or_parts_of_them(terms: list[str], same_as: Any) -> None:
    _, posterior = made("y", "gaussian", "identity")
    table = Table.from_columns({name: COLUMNS[name][:5] for name in ("x", "f", "a", "b")})
    one, other = (predict(posterior, table, group_effects=which)["mean"] for which in (terms, same_as))
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_part_of_a_factor_is_its_coefficients_of_that_name() -> None:
    _, posterior = made("y", "gaussian", "identity")
    table = Table.from_columns({"x": [2.0], "f": ["low"], "a": ["a2"], "b": ["b1"]})
    design = encode(posterior.encoding, table, response=False)
    none, slope = (
        predicted_draws(posterior, design, kind="linpred", group_effects=which)
        for which in ("none", ["0 + x | a"])
    )
    u = posterior.deviations("a", [posterior.level_numbers["a"]["a2",]])
    np.testing.assert_allclose((slope - none)[:, :, 0], 2.0 * u[:, :, 0, 1], rtol=1e-9)


def test_every_wrong_term_is_said() -> None:
    _, posterior = made("y", "gaussian", "identity")
    table = Table.from_columns({"x": [2.0], "f": ["low"], "a": ["a2"], "b": ["b1"]})
    with pytest.raises(InvalidModel) as error:
        predict(posterior, table, group_effects=["a", "c", "1 | c", "f | a", "1 + | a"])
    places = [issue.pointer for issue in error.value.issues]
    assert places == [f"/group_effects/{place}" for place in (1, 2, 3, 4)]
    assert "flow" in error.value.issues[2].message or "fmid" in error.value.issues[2].message


def test_figures_are_those_of_numpy() -> None:
    draws = RNG.normal(size=(7, 401)) * 10.0 ** np.arange(-3, 4)[:, None]
    found = figures(draws, 0.8)
    np.testing.assert_allclose(found["mean"], draws.mean(axis=1), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found["sd"], draws.std(axis=1, ddof=1), rtol=1e-12)
    expected = np.quantile(draws, [0.1, 0.5, 0.9], axis=1)
    np.testing.assert_allclose([found["lower"], found["median"], found["upper"]], expected, rtol=1e-10)


def test_many_rows_take_little_memory() -> None:
    _, posterior = made("y", "gaussian", "identity", draws=1000)
    many = np.arange(4000) % ROWS
    table = Table.from_columns({name: COLUMNS[name] for name in ("x", "f", "a", "b")}).take(many)
    predict(posterior, table.take(np.arange(5)))
    tracemalloc.start()
    try:
        found = predict(posterior, table)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    everything = 8 * len(many) * posterior.chains * posterior.draws
    assert peak < everything / 4
    np.testing.assert_allclose(found["mean"], found["mean"][many], rtol=1e-12)
