"""A request becomes a plan: everything wrong is said at once, and equal requests are one fit."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model.errors import InvalidModel
from model.frame.column import read_column
from model.frame.table import Table
from model.language.outline import outline
from model.priors import PriorStatement
from model.spec import FitPlan, FitSpec, SamplerSettings, prepare
from tests.worker.models import columns


def spec(**changes: Any) -> FitSpec:
    data = changes.pop("data", None) or columns()
    return replace(FitSpec("y ~ x + (1 + x | g)", Table.from_columns(data)), **changes)


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidModel) as error:
        prepare(
            spec(
                formula="y ~ xx + (1 | gg)",
                priors=(PriorStatement("normal(0, -1)", "b"),),
                sampler=SamplerSettings(chains=0, draws=-3),
            )
        )
    where = {(issue.pointer, issue.column) for issue in error.value.issues}
    assert where == {
        ("/formula", "xx"),
        ("/formula", "gg"),
        ("/priors/0/prior", None),
        ("/sampler/chains", None),
        ("/sampler/draws", None),
    }


def test_equal_requests_have_equal_keys() -> None:
    first = prepare(spec())
    assert prepare(spec()).key == first.key
    assert prepare(spec(data=dict(reversed(columns().items())))).key == first.key
    assert prepare(spec(data=columns() | {"unused": list(range(60))})).key == first.key
    assert prepare(spec(formula="y~x+( 1+x|g )")).key == first.key
    spelled = tuple(
        PriorStatement(row.prior, row.class_, row.coef, row.group) for row in first.priors if row.prior
    )
    assert prepare(spec(priors=spelled)).key == first.key
    integers = columns() | {"x": [float(i) for i in range(60)]}
    assert prepare(spec(data=integers | {"x": list(range(60))})).key == prepare(spec(data=integers)).key


@pytest.mark.parametrize(
    "changes",
    [
        {"formula": "y ~ x + (1 + x || g)"},
        {"center": False},
        {"sampler": SamplerSettings(seed=1)},
        {"sampler": SamplerSettings(draws=999)},
        {"sampler": SamplerSettings(warmup=500)},
        {"sampler": SamplerSettings(max_tree_depth=12)},
        {"sampler": SamplerSettings(method="nuts")},
        {"priors": (PriorStatement("normal(0, 1)", "b"),)},
        {"data": columns(seed=2)},
        {"levels": {"g": [f"g{i}" for i in range(7)]}},
    ],
)
def test_whatever_changes_the_result_changes_the_key(changes: dict[str, Any]) -> None:
    assert prepare(spec(**changes)).key != prepare(spec()).key


def test_a_seed_follows_from_the_request() -> None:
    first = prepare(spec())
    assert first.seed == prepare(spec()).seed
    assert 0 <= first.seed < 2**53
    assert prepare(spec(data=columns(seed=2))).seed != first.seed


def test_storage_keeps_a_plan_whole() -> None:
    plan = prepare(spec(priors=(PriorStatement("normal(0, 1)", "b"),)))
    again = FitPlan.from_parts(*plan.to_parts())
    assert again.to_parts()[0] == plan.to_parts()[0]
    np.testing.assert_array_equal(again.design().x, plan.design().x)


def test_a_plan_with_other_data_has_their_design() -> None:
    plan = prepare(spec())
    y = plan.design().y
    assert y is not None
    columns_of = {**plan.table.columns, "y": read_column(2 * y)}
    other = replace(plan, table=replace(plan.table, columns=columns_of))
    np.testing.assert_array_equal(other.design().y, 2 * y)
    np.testing.assert_array_equal(plan.design().y, y)


def test_groups_of_one_row_each_are_warned_of() -> None:
    data = columns() | {"g": [f"g{i}" for i in range(60)]}
    plan = prepare(spec(formula="y ~ x + (1 | g)", data=data))
    (notice,) = plan.warnings
    assert (notice.code, notice.parameters) == ("unidentified_residual", ("sigma", "sd[g][Intercept]"))
    assert prepare(spec()).warnings == ()


def test_the_method_and_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.spec.MAX_DENSE_WIDTH", 200)
    plan = prepare(spec(formula="y ~ x + (1 | g) + (1 | h)"))
    assert plan.method == "collapsed"
    many = columns(rows=900, levels=300) | {"h": [f"h{i % 250}" for i in range(900)]}
    plan = prepare(spec(formula="y ~ x + (1 | g) + (1 | h)", data=many))
    assert (plan.method, "250" in plan.method_reason) == ("nuts", True)
    with pytest.raises(InvalidModel, match="does not apply"):
        prepare(
            spec(formula="y ~ x + (1 | g) + (1 | h)", data=many, sampler=SamplerSettings(method="collapsed"))
        )


def test_an_outline_needs_no_data() -> None:
    assert outline("y ~ a*b + (1 + a || g/h)") == {
        "formula": "y ~ a * b + (1 + a || g/h)",
        "columns": ["a", "b", "g", "h", "y"],
        "response": "y",
        "population": ["Intercept", "a", "b", "a:b"],
        "groups": [
            {"factor": "g", "coefficients": ["Intercept", "a"], "correlated": False},
            {"factor": "g:h", "coefficients": ["Intercept", "a"], "correlated": False},
        ],
        "warnings": (),
    }
