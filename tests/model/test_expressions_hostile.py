"""Every function of the grammar around every sort of argument in every place of a formula: a design or a refusal.

Nothing but InvalidModel may come of it, since anything else is a fault of ours that a client can neither see nor mend.
"""

import json
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pytest

from model.errors import InvalidModel, Issue
from model.frame.encoding import Encoding, encode, learn
from model.frame.table import Table
from model.language.calls import FUNCTIONS
from model.language.formula import parse

ROWS = 24
Made = TypeVar("Made")


def _table() -> Table:
    rng = np.random.default_rng(0)
    return Table.from_columns(
        {
            "y": rng.normal(size=ROWS),
            "x": rng.normal(size=ROWS),
            "p": rng.uniform(0.5, 3, ROWS),
            "k": rng.integers(1, 5, ROWS),
            "s": rng.integers(0, 5, ROWS),
            "d": [0.0] * 15 + [1.0] * 5 + [2.0] * 4,
            "one": [1] * ROWS,
            "big": rng.normal(size=ROWS) * 1e70,
            "f": [["a", "b", "c"][row % 3] for row in range(ROWS)],
            "b": [row % 2 == 0 for row in range(ROWS)],
            "g": [f"g{row % 6}" for row in range(ROWS)],
        }
    )


TABLE = _table()
FEW = [TABLE.take(np.array(rows)) for rows in ([0], [0, 1] * 6)]
NEW = Table.from_columns(
    {
        "x": [-1e9, 1e300],
        "p": [0.0, 1e200],
        "k": [9, -5],
        "s": [0, 2],
        "d": [0.0, -3.0],
        "one": [1, 0],
        "big": [0.0, 1e300],
        "f": ["a", "zz"],
        "b": [True, True],
        "g": ["g1", None],
    }
)
ARGUMENTS = {
    "number": "x",
    "whole number": "k",
    "few values": "d",
    "constant": "one",
    "text": "f",
    "boolean": "b",
    "literal": "0",
    "huge": "exp(big)",
    "arithmetic": "p - x^2",
    "arithmetic of text": "x + f",
    "factor": "factor(k)",
    "contrasts": "C(f, sum)",
    "basis": "poly(x, 2)",
    "basis of one column": "poly(x, 1)",
    "spline": "bs(d, 8)",
    "function of a basis": "scale(poly(p, 2))",
    "basis beside a number": "poly(x, 2) * p",
    "bases that match": "ns(x, 2) + poly(p, 2)",
    "bases that do not": "poly(x, 2) + bs(p, 4)",
    "basis as a power": "2^poly(x, 2)",
}
CALLS = {name: f"{name}({{}})" for name in FUNCTIONS} | {
    "none": "{}",
    "high degree": "poly({}, 20)",
    "most df": "bs({}, df = 50)",
    "straight": "bs({}, df = 1, degree = 1)",
    "natural": "ns({}, 50)",
    "contrast of a factor": "C(factor({}), poly)",
    "product": "I({} * x)",
}
PLACES = {
    "term": "y ~ {}",
    "no intercept": "y ~ 0 + {}",
    "with a factor": "y ~ f * {}",
    "with itself": "y ~ {0}:{0}",
    "bar": "y ~ ({} | g)",
    "double bar": "y ~ (0 + {} || g)",
    "group": "y ~ (1 | {})",
    "offset": "y ~ offset({})",
    "response": "{} ~ x",
    "weights": "y | weights({}) ~ x",
    "se": "y | se({}) ~ x",
    "trials": "s | trials({}) ~ x",
    "failures": "cbind(s, {}) ~ x",
}


def attempt(step: Callable[[], Made]) -> Made | InvalidModel:
    """What a step makes, or its refusal; whatever else it raises is the test's failure."""
    try:
        return step()
    except InvalidModel as refusal:
        return refusal


def dealt_with(text: str) -> None:
    formula = attempt(lambda: parse(text))
    if isinstance(formula, InvalidModel):
        assert all(issue.position is not None and "^" in issue.message for issue in formula.issues)
        return
    for few in FEW:
        attempt(lambda few=few: learn(formula, few, aliased="drop"))
    made = attempt(lambda: learn(formula, TABLE, aliased="drop"))
    if isinstance(made, InvalidModel):
        assert all("^" in issue.message for issue in made.issues if issue.code == "several-columns")
        return
    encoding, design = made
    stored = Encoding.from_json(json.loads(json.dumps(encoding.to_json())))
    np.testing.assert_array_equal(encode(stored, TABLE).x, design.x)
    assert design.x.shape == (ROWS, len(encoding.coefficients))
    assert np.isfinite(design.x).all()
    assert design.y is not None
    assert design.y.shape == design.offset.shape == (ROWS,)
    for row in range(NEW.rows):
        attempt(lambda row=row: encode(stored, NEW.take(np.array([row])), response=False))


@pytest.mark.parametrize("call", CALLS)
def test_whatever_stands_where_is_a_design_or_a_refusal(call: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for argument in ARGUMENTS.values():
            for place in PLACES.values():
                dealt_with(place.format(CALLS[call].format(argument)))


def refused(text: str) -> Issue:
    with pytest.raises(InvalidModel) as caught:
        learn(parse(text), TABLE)
    (issue,) = caught.value.issues
    return issue


MISPLACED: dict[str, tuple[str, str]] = {
    "y ~ x + offset(poly(x, 2))": ("several-columns", "poly(x, 2))"),
    "scale(poly(y, 2)) ~ x": ("several-columns", "scale("),
    "y | weights(exp(bs(x, 3))) ~ 1": ("several-columns", "exp("),
    "y | se(exp(bs(x, 3))) ~ 1": ("several-columns", "exp("),
    "s | trials(bs(x, 3)) ~ 1": ("several-columns", "bs("),
    "cbind(s, bs(x, 3)) ~ 1": ("several-columns", "bs("),
    "y ~ poly(poly(x, 2), 2)": ("several-columns", "poly(x"),
    "y ~ bs(scale(poly(x, 2)))": ("several-columns", "scale("),
    "y ~ k + I(poly(x, 2) * bs(x, 4))": ("several-columns", "bs("),
    "y ~ I(x + f)": ("column-type", "f)"),
    "y ~ log(factor(k))": ("formula-syntax", "factor("),
    "y ~ I(x * C(f))": ("formula-syntax", "C("),
    "y ~ offset(factor(k))": ("formula-syntax", "factor("),
    "y | weights(factor(k)) ~ x": ("formula-syntax", "factor("),
    "cbind(s, factor(k)) ~ x": ("formula-syntax", "factor("),
}


@pytest.mark.parametrize("text", MISPLACED)
def test_what_stands_in_the_wrong_place_is_shown_by_a_caret(text: str) -> None:
    code, place = MISPLACED[text]
    issue: Any = refused(text)
    position = text.index(place)
    assert (issue.code, issue.position) == (code, position)
    *_, shown, caret = issue.message.splitlines()
    assert shown[caret.index("^") :] == text[position:]


def test_a_logarithm_of_a_spline_is_refused_where_it_is_not_finite() -> None:
    assert refused("y ~ log(bs(x, 3))").code == "not-finite"
