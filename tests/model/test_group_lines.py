"""Lines of levels over the data: through each level's own rows, and equal to what is predicted there."""

from typing import Any

import numpy as np
import pytest

from model.frame.table import Table
from model.predictions.group_lines import MOST_ROWS, group_lines
from model.predictions.predict import predict
from model.results.posterior import Posterior
from model.spec import FitPlan, FitSpec, prepare
from tests.service.samples import COLUMNS, make_posterior


def fitted(formula: str, columns: dict[str, list[Any]], **rest: Any) -> tuple[FitPlan, Posterior]:
    plan = prepare(FitSpec(formula, Table.from_columns(columns), **rest))
    return plan, make_posterior(plan)


def test_lines_span_their_own_rows_and_are_predictions() -> None:
    plan, posterior = fitted("y ~ x + (1 + x | g)", COLUMNS)
    found = group_lines(posterior, plan.table, plan.design(), "x", "g", most=10)
    assert [line.level for line in found.lines] == [f"g{i}" for i in range(6)]
    for line in found.lines:
        own = [x for x, g in zip(COLUMNS["x"], COLUMNS["g"], strict=True) if g == line.level]
        assert (line.x[0], line.x[-1]) == (min(own), max(own))
        rows = Table.from_columns({"x": list(line.x), "g": [line.level] * len(line.x)})
        np.testing.assert_allclose(line.mean, predict(posterior, rows)["mean"], rtol=1e-12)
    rows = Table.from_columns(
        {"x": found.population["columns"]["x"], "g": [None] * len(found.population["mean"])}
    )
    alone = predict(posterior, rows, group_effects="none")["mean"]
    np.testing.assert_allclose(found.population["mean"], alone, rtol=1e-12)


def test_rows_that_were_dropped_are_not_among_the_data() -> None:
    columns = COLUMNS | {"x": [None, *COLUMNS["x"][1:]]}
    plan, posterior = fitted("y ~ x + (1 | g)", columns, missing="drop")
    found = group_lines(posterior, plan.table, plan.design(), "x", "g", most=10)
    assert list(found.x) == COLUMNS["x"][1:]
    assert list(found.observed) == COLUMNS["y"][1:]


def test_a_cell_has_the_effects_of_what_it_lies_in() -> None:
    columns = COLUMNS | {"h": [f"h{i % 4}" for i in range(24)]}
    plan, posterior = fitted("y ~ x + (1 | g/h)", columns)
    found = group_lines(posterior, plan.table, plan.design(), "x", "g:h", most=100)
    assert found.factors == ("g", "g:h")
    line = found.lines[3]
    g, h = line.level.split(":")
    rows = Table.from_columns({"x": list(line.x), "g": [g] * len(line.x), "h": [h] * len(line.x)})
    np.testing.assert_allclose(line.mean, predict(posterior, rows)["mean"], rtol=1e-12)


def test_a_level_whose_rows_are_alike_has_one_point() -> None:
    columns = COLUMNS | {"w": [float(i % 6) for i in range(24)]}
    plan, posterior = fitted("y ~ w + (1 | g)", columns)
    found = group_lines(posterior, plan.table, plan.design(), "w", "g", most=10)
    assert [line.x for line in found.lines] == [(float(i),) for i in range(6)]


def test_counts_of_trials_are_shares() -> None:
    columns = {"s": [i % 4 for i in range(24)], "n": [4 + i % 3 for i in range(24)], "g": COLUMNS["g"]}
    columns |= {"x": COLUMNS["x"]}
    plan, posterior = fitted("s | trials(n) ~ x + (1 | g)", columns, family="binomial")
    found = group_lines(posterior, plan.table, plan.design(), "x", "g", most=10)
    np.testing.assert_allclose(found.observed, np.divide(columns["s"], columns["n"]))
    assert all(np.all((line.mean > 0) & (line.mean < 1)) for line in found.lines)


@pytest.mark.parametrize("most", [2, 5])
def test_many_levels_and_rows_are_thinned_evenly(most: int) -> None:
    rng = np.random.default_rng(6)
    rows = MOST_ROWS + 500
    columns: dict[str, list[Any]] = {
        "y": rng.normal(size=rows).tolist(),
        "x": rng.normal(size=rows).tolist(),
        "g": [f"g{i % 50:02d}" for i in range(rows)],
    }
    plan, posterior = fitted("y ~ x + (1 | g)", columns)
    found = group_lines(posterior, plan.table, plan.design(), "x", "g", most=most)
    assert (found.levels, found.rows, len(found.lines), len(found.x)) == (50, rows, most, MOST_ROWS)
    assert (found.lines[0].level, found.lines[-1].level) == ("g00", "g49")
