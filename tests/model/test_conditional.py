"""Conditional effects: what is on the grid, and that its numbers are predictions of exactly these rows."""

from typing import Any

import numpy as np
import pytest

from model.errors import InvalidModel
from model.frame.encoding import encode
from model.frame.learnt import Encoding
from model.frame.table import Table
from model.predictions.conditional import conditional_draws, conditional_effects
from model.predictions.grid import reference_grid
from model.predictions.predict import predict, predicted_draws
from model.results.posterior import Posterior
from model.spec import FitPlan, FitSpec, prepare
from tests.service.samples import make_posterior

ROWS = 60
RNG = np.random.default_rng(9)
COLUMNS: dict[str, Any] = {
    "y": RNG.normal(size=ROWS).round(3).tolist(),
    "count": RNG.poisson(3, ROWS).tolist(),
    "hits": RNG.integers(0, 5, ROWS).tolist(),
    "n": [9] * ROWS,
    "x": RNG.uniform(2, 5, ROWS).round(3).tolist(),
    "w": RNG.normal(10, 2, ROWS).round(3).tolist(),
    "whole": RNG.integers(0, 6, ROWS).tolist(),
    "f": [("low", "mid", "high")[i % 3] for i in range(ROWS)],
    "flag": [i % 5 < 2 for i in range(ROWS)],
    "year": [2000 + i % 4 for i in range(ROWS)],
    "exposure": RNG.uniform(1, 9, ROWS).round(3).tolist(),
    "a": [f"a{i % 5}" for i in range(ROWS)],
    "b": [i % 3 for i in range(ROWS)],
}


def planned(formula: str, family: str = "gaussian", **options: Any) -> FitPlan:
    return prepare(FitSpec(formula, Table.from_columns(COLUMNS), family=family, **options))


def posterior(formula: str, family: str = "gaussian", **options: Any) -> Posterior:
    return make_posterior(planned(formula, family, **options))


def learnt(formula: str, **options: Any) -> Encoding:
    return planned(formula, **options).encoding


def test_a_number_runs_evenly_through_its_range_and_the_rest_stays_at_the_mean() -> None:
    grid = reference_grid(learnt("y ~ x * f + w + (1 | a)"), "x", points=5)
    assert grid.columns["x"] == tuple(np.linspace(min(COLUMNS["x"]), max(COLUMNS["x"]), 5))
    assert grid.reference == {"f": "high", "w": pytest.approx(np.mean(COLUMNS["w"]))}
    assert (grid.levels, grid.factors) == ({}, ())


def test_whole_numbers_stay_whole() -> None:
    encoding = learnt("y ~ whole")
    assert reference_grid(encoding, "whole").columns["whole"] == (0, 1, 2, 3, 4, 5)
    assert reference_grid(encoding, "whole", points=3).columns["whole"] == (0, 2, 5)


def test_what_is_categorical_takes_its_levels() -> None:
    encoding = learnt("y ~ f + flag + factor(year)", levels={"f": ("low", "mid", "high")})
    assert reference_grid(encoding, "f").columns["f"] == ("low", "mid", "high")
    assert reference_grid(encoding, "flag").columns["flag"] == (False, True)
    assert reference_grid(encoding, "year").columns["year"] == (2000, 2001, 2002, 2003)
    assert reference_grid(encoding, "year").reference == {"f": "low", "flag": False}


def test_the_reference_of_a_factor_is_its_baseline() -> None:
    assert reference_grid(learnt('y ~ x + C(f, ref="mid")'), "x").reference == {"f": "mid"}


def test_by_crosses_the_variable_with_levels_or_with_the_mean_and_one_sd_beside_it() -> None:
    encoding = learnt("y ~ x * w + f")
    grid = reference_grid(encoding, "x", by="f", points=2)
    low, high = min(COLUMNS["x"]), max(COLUMNS["x"])
    assert grid.columns == {"x": (low, high) * 3, "f": ("high",) * 2 + ("low",) * 2 + ("mid",) * 2}
    mean, sd = np.mean(COLUMNS["w"]), np.std(COLUMNS["w"], ddof=1)
    beside = reference_grid(encoding, "f", by="w").columns["w"]
    np.testing.assert_allclose(beside, np.repeat([mean - sd, mean, mean + sd], 3))


def test_at_and_levels_are_said_in_words() -> None:
    encoding = learnt("y ~ x + w + f + flag + (1 | a) + (1 | a:b)")
    grid = reference_grid(
        encoding, "x", at={"w": "1e1", "f": "mid", "flag": "true"}, levels={"a": "a2", "b": "1"}
    )
    assert grid.reference == {"w": 10.0, "f": "mid", "flag": True}
    assert (grid.levels, grid.factors) == ({"a": "a2", "b": 1}, ("a", "a:b"))
    assert reference_grid(encoding, "x", levels={"a": "a2"}).factors == ("a",)


def test_a_column_that_is_predictor_and_group_has_one_value() -> None:
    encoding = learnt("y ~ x + a + (1 | a:b)")
    grid = reference_grid(encoding, "x", levels={"a": "a2", "b": "1"})
    assert grid.reference == {"a": "a2"}
    assert grid.table()["a"].to_list() == ["a2"] * 50
    assert reference_grid(encoding, "x").table()["a"].to_list() == ["a0"] * 50


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"variable": "n"}, "no predictor 'n'"),
        ({"variable": "a"}, "no predictor 'a'"),
        ({"by": "nothing"}, "no predictor 'nothing'"),
        ({"by": "x"}, "x varies already"),
        ({"at": {"x": "3"}}, "does not stay at one value"),
        ({"at": {"w": "much"}}, "finite number"),
        ({"at": {"w": "nan"}}, "finite number"),
        ({"at": {"f": "top"}}, "its levels are 'high', 'low', 'mid'"),
        ({"levels": {"a": "a9"}}, "no level 'a9'"),
        ({"levels": {"b": "1"}}, "makes no level"),
        ({"levels": {"a": "a0", "b": "1", "x": "2"}}, "no grouping column 'x'"),
    ],
)
def test_what_the_model_does_not_have_is_refused(options: dict[str, Any], said: str) -> None:
    encoding = learnt("y ~ x + w + f + (1 | a) + (1 | a:b)")
    with pytest.raises(InvalidModel, match=said):
        reference_grid(encoding, **{"variable": "x", **options})


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ log(x) + (1 + x | a)",
        "y ~ poly(x, 3) * f + (1 | a)",
        "y ~ bs(x, df = 5) + scale(w) + (1 | a)",
        "y ~ x:w + I(x^2) + offset(log(exposure)) + (1 | a)",
        "y ~ 0 + f:x + (0 + x || a)",
    ],
)
def test_effects_are_predictions_of_the_rows_of_their_grid(formula: str) -> None:
    of = posterior(formula)
    grid = reference_grid(of.encoding, "x", levels={"a": "a3"}, points=6)
    effects = conditional_effects(of, grid, prob=0.8)
    rows = Table.from_columns(
        {name: [value] * 6 for name, value in {**effects["reference"], **effects["levels"]}.items()}
        | effects["columns"]
    )
    predicted = predict(of, rows, prob=0.8)
    for figure in ("mean", "sd", "median", "lower", "upper"):
        np.testing.assert_allclose(effects[figure], predicted[figure], rtol=1e-12)
    assert effects["warnings"] == []


def test_an_offset_stays_at_the_mean_of_its_columns() -> None:
    of = posterior("count ~ x + offset(log(exposure))", "poisson")
    grid = reference_grid(of.encoding, "x", points=2)
    assert grid.reference == {"exposure": pytest.approx(np.mean(COLUMNS["exposure"]))}
    eta = conditional_draws(of, grid, kind="linpred")
    expected = of.population @ np.array([[1, 1], grid.columns["x"]]) + np.log(grid.reference["exposure"])  # type: ignore[arg-type]
    np.testing.assert_allclose(eta, expected, rtol=1e-12)


@pytest.mark.parametrize("left", ["hits | trials(n)", "cbind(hits, n - hits)"])
def test_a_binomial_effect_is_a_probability_of_one_trial(left: str) -> None:
    of = posterior(f"{left} ~ x + (1 | a)", "binomial")
    grid = reference_grid(of.encoding, "x", points=4)
    effects = conditional_effects(of, grid)
    assert effects["trials"] == 1
    assert np.all((effects["mean"] > 0) & (effects["mean"] < 1))
    assert set(np.unique(conditional_draws(of, grid, kind="predict"))) == {0.0, 1.0}


def test_without_a_level_there_are_no_group_effects() -> None:
    of = posterior("y ~ x + (1 + x | a)")
    grid = reference_grid(of.encoding, "x", points=3)
    rows = Table.from_columns({"x": list(grid.columns["x"]), "a": ["a1"] * 3})
    design = encode(of.encoding, rows, response=False)
    np.testing.assert_allclose(conditional_draws(of, grid), predicted_draws(of, design, group_effects="none"))


def test_a_grid_outside_of_a_function_is_refused() -> None:
    of = posterior("y ~ x + log(exposure)")
    grid = reference_grid(of.encoding, "x", at={"exposure": "-1"})
    with pytest.raises(InvalidModel, match="not a finite number"):
        conditional_effects(of, grid)


def test_spreads_survive_storage_and_huge_numbers() -> None:
    huge = {"y": COLUMNS["y"], "x": [1e70 * (i + 1) for i in range(ROWS)]}
    encoding = prepare(FitSpec("y ~ scale(x)", Table.from_columns(huge))).encoding
    again = Encoding.from_json(encoding.to_json())
    assert again.spreads == encoding.spreads
    assert np.isfinite(again.spreads["x"].sd)
    assert again.spreads["x"].mean == pytest.approx(30.5e70)


def test_only_the_columns_of_the_kept_factors_are_needed() -> None:
    of = posterior("y ~ x + (1 + w | a) + (1 | b)")
    rows = {"x": [3.0, 4.0], "w": [9.0, 11.0], "a": ["a1", "a2"], "b": [0, 1]}
    some = Table.from_columns({name: rows[name] for name in ("x", "b")})
    both = Table.from_columns(rows)
    assert (
        predict(of, some, group_effects=["b"])["mean"].tolist()
        == predict(of, both, group_effects=["b"])["mean"].tolist()
    )
    with pytest.raises(InvalidModel) as caught:
        predict(of, some, group_effects=["a"])
    assert {issue.column for issue in caught.value.issues} == {"w", "a"}


def test_trials_do_not_matter_to_the_linear_predictor() -> None:
    of = posterior("hits | trials(n) ~ x", "binomial")
    with_null = Table.from_columns({"x": [3.0, 4.0], "n": [None, 9]})
    without = Table.from_columns({"x": [3.0, 4.0]})
    found = predict(of, with_null, kind="linpred")["mean"].tolist()
    assert found == predict(of, without, kind="linpred")["mean"].tolist()
    with pytest.raises(InvalidModel):
        predict(of, with_null, kind="epred")


def test_the_columns_of_a_kept_cell_may_be_named_in_any_order() -> None:
    of = posterior("y ~ x + (1 | a:b)")
    row = Table.from_columns({"x": [3.0], "a": ["a1"], "b": [1]})
    for term in ("b:a", "1 | b:a"):
        assert predict(of, row, group_effects=[term])["mean"] == predict(of, row)["mean"]
