"""Which collinear columns may stand: those that flat priors leave alone must be independent of each other."""

from typing import Any

import numpy as np
import pytest

from model.errors import InvalidModel
from model.frame.encoding import Encoding
from model.frame.table import Table
from model.priors import PriorStatement as P
from model.spec import FitSpec, prepare

RNG = np.random.default_rng(6)
X = RNG.normal(5, 1, 30)
DATA: dict[str, Any] = {
    "y": RNG.normal(size=30),
    "count": RNG.integers(0, 5, 30),
    "x": X,
    "z": RNG.normal(size=30),
    "double": 2 * X + 1,
    "old": (np.arange(30) % 3 == 0).astype(float),
    "young": (np.arange(30) % 3 > 0).astype(float),
}
NORMAL = P("normal(0, 1)", "b")


def prepared(formula: str, *priors: P, **changes: Any) -> Any:
    return prepare(FitSpec(formula, Table.from_columns(DATA), priors=priors, **changes))


HELD: dict[str, tuple[str, tuple[P, ...], dict[str, Any]]] = {
    "all": ("y ~ x + double", (NORMAL,), {}),
    "the aliased one": ("y ~ x + double", (P("student_t(3, 0, 1)", "b", "double"),), {}),
    "the one that it is a combination of": ("y ~ x + double", (P("normal(0, 1)", "b", "x"),), {}),
    "a constant": ("y ~ x + double", (P("constant(1)", "b", "x"),), {}),
    "beside a flat one that is independent": ("y ~ x + double + z", (NORMAL, P("", "b", "z")), {}),
    "a raw intercept holds one of two shares": ("y ~ old + young", (), {"center": False}),
    "counts": ("count ~ x + double", (NORMAL,), {"family": "poisson"}),
}


@pytest.mark.parametrize("name", HELD)
def test_proper_priors_hold_collinear_columns(name: str) -> None:
    formula, priors, changes = HELD[name]
    made = prepared(formula, *priors, **changes)
    assert len(made.encoding.collinear) == 1
    assert made.encoding.aliased == ()
    assert set(made.encoding.coefficients) >= {"x", "double"} or "old" in formula
    assert ("collinear", "warning") in [(notice.code, notice.severity) for notice in made.warnings]
    assert Encoding.from_json(made.encoding.to_json()) == made.encoding


REFUSED: dict[str, tuple[str, tuple[P, ...], dict[str, Any]]] = {
    "the default": ("y ~ x + double", (), {}),
    "another column": ("y ~ x + double + z", (P("normal(0, 1)", "b", "z"),), {}),
    "one is made flat again": (
        "y ~ x + double + old + young",
        (NORMAL, P("", "b", "x"), P("", "b", "double")),
        {},
    ),
    "an intercept at the means holds neither share": ("y ~ old + young", (), {}),
    "a flat raw intercept holds neither share": ("y ~ old + young", (P("", "Intercept"),), {"center": False}),
    "counts": ("count ~ x + double", (), {"family": "poisson"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_flat_priors_hold_nothing(name: str) -> None:
    formula, priors, changes = REFUSED[name]
    with pytest.raises(InvalidModel, match=r"linear combination.*proper priors|Proper priors") as error:
        prepared(formula, *priors, **changes)
    assert [issue.code for issue in error.value.issues] == ["rank-deficient"]


def test_columns_are_dropped_where_that_is_asked_for() -> None:
    made = prepared("y ~ x + double", NORMAL, aliased="drop")
    assert (made.encoding.aliased, made.encoding.collinear) == (("double",), ())
