"""Rows that the data cannot tell, as columns were left out: the same whichever these are, and they have no figures."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.frame.encoding import Encoding, encode, learn
from model.frame.table import Table
from model.language.formula import parse
from model.predictions.conditional import conditional_effects
from model.predictions.grid import reference_grid
from model.predictions.group_lines import group_lines
from model.predictions.predict import predict
from model.predictions.row_contrasts import RowContrast
from model.results.pages import estimate_entries, find_entries
from model.results.posterior import Posterior
from model.spec import FitPlan, FitSpec, prepare
from tests.service.samples import make_posterior

LEVELS = {"a": ["p", "q", "r"], "b": ["u", "v", "w"]}
GRID = [(a, b) for a in LEVELS["a"] for b in LEVELS["b"]]
EMPTY = ("q", "w")


def columns(rows: int = 64) -> dict[str, Any]:
    """Two crossed factors without rows in one cell, a grouping factor, and numbers of which one tells the other."""
    rng = np.random.default_rng(5)
    cells = [cell for cell in GRID if cell != EMPTY]
    drawn = [cells[row % len(cells)] for row in range(rows)]
    year = rng.integers(1, 12, rows)
    return {
        "y": rng.normal(size=rows).tolist(),
        "a": [cell[0] for cell in drawn],
        "b": [cell[1] for cell in drawn],
        "g": [f"g{row % 6}" for row in range(rows)],
        "x": rng.normal(3, 1, rows).tolist(),
        "year": year.tolist(),
        "age": (20 - year).tolist(),
    }


DATA = columns()
CELLS = Table.from_columns({"a": [a for a, _ in GRID], "b": [b for _, b in GRID]})


def learnt(text: str, data: dict[str, Any] = DATA, **options: Any) -> Encoding:
    encoding = learn(parse(text), Table.from_columns(data), aliased="drop", **options)[0]
    return Encoding.from_json(json.loads(json.dumps(encoding.to_json())))


def unknown(encoding: Encoding, rows: Table) -> list[bool]:
    known = encode(encoding, rows, response=False, factors=()).estimability
    assert known is not None
    return [bool(row) for row in known.unknown]


def fitted(encoding: Encoding, rows: Table) -> np.ndarray[Any, Any]:
    """What least squares says of new rows."""
    design = encode(encoding, Table.from_columns(DATA))
    b = np.linalg.lstsq(design.x, design.y, rcond=None)[0]
    return np.asarray(encode(encoding, rows, response=False, factors=()).x @ b)


@pytest.mark.parametrize("text", ["y ~ a * b", "y ~ 0 + a * b", "y ~ a:b", "y ~ C(a, sum) * C(b, helmert)"])
def test_what_is_known_is_the_same_whichever_column_is_left_out(text: str) -> None:
    turned = {name: levels[::-1] for name, levels in LEVELS.items()}
    one, other = learnt(text), learnt(text, levels=turned)
    expected = [cell == EMPTY for cell in GRID]
    assert unknown(one, CELLS) == unknown(other, CELLS) == expected
    known = ~np.array(expected)
    first, second = fitted(one, CELLS), fitted(other, CELLS)
    np.testing.assert_allclose(first[known], second[known], rtol=1e-9)
    assert not np.allclose(first[~known], second[~known])


def by_projection(encoding: Encoding, rows: Table) -> list[bool]:
    """Whether rows have a part outside of the row space of the training X, from a singular value decomposition."""
    training = encoding.matrix.build(Table.from_columns(DATA))
    new = encoding.matrix.build(rows)
    size = np.linalg.norm(training, axis=0)
    size[size == 0] = 1.0
    _, values, basis = np.linalg.svd(training / size, full_matrices=True)
    null = basis[int(np.sum(values > 1e-8 * values[0])) :]
    scaled = new / size
    return [bool(np.linalg.norm(null @ row) > 1e-6 * np.linalg.norm(row)) for row in scaled]


TERMS = [
    "a",
    "b",
    "a:b",
    "x",
    "year",
    "age",
    "a:x",
    "I(x + year)",
    "b:age",
    "I(year / 2)",
    "poly(x, 2)",
    "I(x^2)",
]


@given(
    st.lists(st.sampled_from(TERMS), min_size=2, max_size=6, unique=True),
    st.booleans(),
    st.lists(
        st.tuples(
            st.sampled_from(GRID),
            st.floats(-3, 3),
            st.integers(-10, 30),
            st.integers(-5, 5),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    ),
)
@example(["year", "age"], False, [(("p", "u"), 0.0, 10, 1, False)])
@example(["a", "b", "a:b"], True, [(EMPTY, 0.0, 10, 0, True)])
@settings(max_examples=150, deadline=None)
def test_rows_are_known_where_they_lie_in_the_row_space(
    terms: list[str], intercept: bool, drawn: list[tuple[Any, float, int, int, bool]]
) -> None:
    encoding = learnt(f"y ~ {1 if intercept else 0} + {' + '.join(terms)}")
    if not encoding.combinations:
        return
    rows = Table.from_columns(
        {
            "a": [cell[0] for cell, *_ in drawn],
            "b": [cell[1] for cell, *_ in drawn],
            "x": [round(x, 2) for _, x, *_ in drawn],
            "year": [year for _, _, year, _, _ in drawn],
            "age": [20 - year + (0 if same else shift) for _, _, year, shift, same in drawn],
        }
    )
    assert unknown(encoding, rows) == by_projection(encoding, rows)
    assert not any(unknown(encoding, Table.from_columns(DATA)))


def test_years_far_from_zero_are_told_apart_to_a_fraction() -> None:
    years = {"year": [2000 + year for year in DATA["year"]], "age": [age - 20.0 for age in DATA["age"]]}
    encoding = learnt("y ~ x + year + age", DATA | years)
    ages = [-4.0, -4.0 + 1e-9, -4.01, 5.0]
    assert unknown(encoding, Table.from_columns({"x": [9e3] * 4, "year": [2004] * 4, "age": ages})) == [
        False,
        False,
        True,
        True,
    ]


def planned(formula: str, family: str = "gaussian", **changes: Any) -> FitPlan:
    return prepare(FitSpec(formula, Table.from_columns(DATA | changes), family=family, aliased="drop"))


def posterior(formula: str, family: str = "gaussian", **changes: Any) -> Posterior:
    return make_posterior(planned(formula, family, **changes))


def test_unknown_rows_have_no_figures_and_the_others_have_theirs() -> None:
    of = posterior("y ~ a * b + (1 | g)")
    rows = Table.from_columns(
        {"a": [*LEVELS["a"], "q"], "b": ["w", "w", "w", "v"], "g": ["g1", "new", "g2", None]}
    )
    found = predict(of, rows, new_levels="sample")
    assert np.isnan(found["mean"]).tolist() == [False, True, False, False]
    for figure in ("sd", "median", "lower", "upper"):
        assert np.isnan(found[figure]).tolist() == [False, True, False, False]
    (notice,) = found["warnings"]
    assert (notice["code"], notice["severity"]) == ("not_estimable", "warning")
    assert "1 of 4 rows have no figures (1)" in notice["message"]
    assert "aq:bw" in notice["message"]


def test_a_difference_may_be_known_where_its_rows_are_not() -> None:
    of = posterior("y ~ x + year + age")
    rows = Table.from_columns({"x": [0.0, 1.0, 0.0], "year": [10, 10, 10], "age": [20, 20, 10]})
    contrasts = [RowContrast("x", {0: -1.0, 1: 1.0}), RowContrast("age", {2: 1.0, 0: -1.0})]
    found = predict(of, rows, contrasts=contrasts)
    assert np.isnan(found["mean"]).tolist() == [True, True, False]
    slope = of.population[:, :, of.encoding.coefficients.index("x")]
    known, hidden = found["contrasts"]
    assert known["mean"] == pytest.approx(slope.mean(), rel=1e-9)
    assert np.isnan([hidden["mean"], hidden["upper"], hidden["probability_positive"]]).all()
    assert [notice["code"] for notice in found["warnings"]] == ["not_estimable"] * 2
    assert "1 of 2 contrasts have no figures ('age')" in found["warnings"][1]["message"]


def test_a_difference_of_probabilities_needs_both_rows() -> None:
    hits = [row % 2 for row in range(64)]
    of = posterior("hits ~ x + year + age", "bernoulli", hits=hits)
    rows = Table.from_columns({"x": [0.0, 1.0], "year": [10, 10], "age": [20, 20]})
    contrast = [RowContrast("x", {0: -1.0, 1: 1.0})]
    (of_logits,) = predict(of, rows, kind="linpred", contrasts=contrast)["contrasts"]
    (of_means,) = predict(of, rows, kind="epred", contrasts=contrast)["contrasts"]
    assert np.isfinite(of_logits["mean"])
    assert np.isnan(of_means["mean"])


def test_effects_show_the_cells_that_are_known() -> None:
    of = posterior("y ~ a * b + (1 | g)")
    found = conditional_effects(of, reference_grid(of.encoding, "a", by="b"))
    cells = list(zip(found["columns"]["a"], found["columns"]["b"], strict=True))
    hidden = [cell for cell, mean in zip(cells, found["mean"], strict=True) if np.isnan(mean)]
    assert hidden == [EMPTY]
    assert [notice["code"] for notice in found["warnings"]] == ["not_estimable"]


def test_lines_of_levels_end_where_nothing_is_known() -> None:
    plan = planned("y ~ x + year + age + (1 | g)")
    found = group_lines(make_posterior(plan), plan.table, plan.design(), "year", "g", most=3)
    assert np.isnan(found.population["mean"]).any()
    assert all(np.isnan(line.mean).any() for line in found.lines)


def test_a_value_of_a_level_needs_the_coefficient_that_was_left_out() -> None:
    of = posterior("y ~ year + age + (1 + age | g)")
    assert of.encoding.aliased == ("age",)
    found = estimate_entries(of, find_entries(of, "g", sort="-value"), 0, 50, 0.9)
    values = {entry["coefficient"]: entry["value"]["mean"] for entry in found}
    assert np.isfinite(values["Intercept"])
    assert np.isnan(values["age"])
    assert all(np.isfinite(entry["deviation"]["mean"]) for entry in found)


def test_all_rows_are_known_where_no_column_was_left_out() -> None:
    of = posterior("y ~ a + b")
    assert encode(of.encoding, CELLS, response=False).estimability is None
    assert predict(of, CELLS)["warnings"] == []
