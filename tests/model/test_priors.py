"""Which prior wins, what the defaults are, and which statements are refused."""

import numpy as np
import pytest

from model.errors import InvalidModel
from model.family import find_family
from model.frame.design import Design, FactorDesign
from model.frame.table import Table
from model.priors import PriorStatement, ResolvedPrior, resolve
from model.spec import FitSpec, prepare

GAUSSIAN = find_family("gaussian")


def design(correlated: bool = True, intercept: bool = True) -> Design:
    n = 12
    x = np.column_stack([np.ones(n), np.arange(n), np.arange(n) ** 2.0])
    names = ("Intercept", "x", "x2")
    blocks = ((0, 1),) if correlated else ((0,), (1,))
    factor = FactorDesign(
        "g", ("g",), (("a",), ("b",)), ("Intercept", "x"), blocks, x[:, :2], np.arange(n) % 2
    )
    first = 0 if intercept else 1
    return Design(x[:, first:], names[first:], intercept, np.zeros(n), (factor,), y=np.arange(n) * 10.0)


def resolved(
    *statements: PriorStatement, **kind: bool
) -> dict[tuple[str, str | None, str | None], ResolvedPrior]:
    rows = resolve(statements, GAUSSIAN, design(**kind))
    return {(row.class_, row.coef, row.group): row for row in rows}


def test_defaults_are_those_of_brms() -> None:
    rows = resolved()
    # median 55, median absolute deviation 30 * 1.4826 = 44.478
    assert rows["Intercept", None, None].prior == "student_t(3, 55, 44.5)"
    assert rows["b", "x", None].prior == ""
    assert rows["sd", "x", "g"].prior == "student_t(3, 0, 44.5)"
    assert rows["cor", None, "g"].prior == "lkj(1)"
    assert rows["sigma", None, None].prior == "student_t(3, 0, 44.5)"
    assert {row.source for row in rows.values()} == {"default"}


def test_a_small_scale_becomes_two_and_a_half() -> None:
    small = design()
    assert small.y is not None
    rows = resolve(
        (), GAUSSIAN, Design(small.x, small.coefficients, True, small.offset, (), y=small.y / 1000)
    )
    assert rows[0].prior == "student_t(3, 0.1, 2.5)"


def test_the_most_specific_statement_wins() -> None:
    rows = resolved(
        PriorStatement("normal(0, 1)", "sd"),
        PriorStatement("normal(0, 2)", "sd", None, "g"),
        PriorStatement("normal(0, 3)", "sd", "x", "g"),
        PriorStatement("normal(0, 4)", "b"),
        PriorStatement("normal(0, 5)", "b", "x2"),
    )
    assert rows["sd", "Intercept", "g"].prior == "normal(0, 2)"
    assert rows["sd", "x", "g"].prior == "normal(0, 3)"
    assert (rows["b", "x", None].prior, rows["b", "x2", None].prior) == ("normal(0, 4)", "normal(0, 5)")
    assert rows["sigma", None, None].source == "default"


@pytest.mark.parametrize(
    ("statement", "kind", "pointer", "mentions"),
    [
        (PriorStatement("normal(0, 1)", "zeta"), {}, "/priors/0/class", "sigma"),
        (PriorStatement("normal(0, 1)", "b", "nope"), {}, "/priors/0/coef", "x2"),
        (PriorStatement("normal(0, 1)", "sd", None, "h"), {}, "/priors/0/group", "g"),
        (PriorStatement("normal(0, 1)", "sd", "x"), {}, "/priors/0/group", "g"),
        (PriorStatement("normal(0, 1)", "sd", "nope", "g"), {}, "/priors/0/coef", "Intercept"),
        (PriorStatement("normal(0, 1)", "b", None, "g"), {}, "/priors/0/group", "no group"),
        (PriorStatement("normal(0, 1)", "sigma", "x"), {}, "/priors/0/coef", "no coef"),
        (PriorStatement("lkj(2)", "cor"), {"correlated": False}, "/priors/0/class", "sd"),
        (PriorStatement("normal(0, 1)", "Intercept"), {"intercept": False}, "/priors/0/class", "b"),
        (PriorStatement("lkj(2)", "sd"), {}, "/priors/0/prior", "cor"),
        (PriorStatement("normal(0, 1)", "cor"), {}, "/priors/0/prior", "lkj"),
        (PriorStatement("uniform(-5, -1)", "sd"), {}, "/priors/0/prior", "positive"),
        (PriorStatement("constant(0)", "sigma"), {}, "/priors/0/prior", "positive"),
        (PriorStatement("normal(0, -1)", "b"), {}, "/priors/0/prior", "greater than zero"),
    ],
)
def test_a_statement_without_effect_is_refused(
    statement: PriorStatement, kind: dict[str, bool], pointer: str, mentions: str
) -> None:
    with pytest.raises(InvalidModel) as error:
        resolved(statement, **kind)
    (issue,) = error.value.issues
    assert issue.pointer == pointer
    assert mentions in issue.message


def test_all_statements_are_judged_at_once() -> None:
    with pytest.raises(InvalidModel) as error:
        resolved(
            PriorStatement("normal(0)", "b"),
            PriorStatement("normal(0, 1)", "b"),
            PriorStatement("normal(0, 2)", "b"),
            PriorStatement("normal(0, 2)", "c"),
        )
    assert [issue.pointer for issue in error.value.issues] == [
        "/priors/0/prior",
        "/priors/2",
        "/priors/3/class",
    ]


def test_bounds_are_cut_to_the_support() -> None:
    rows = resolved(PriorStatement("uniform(-5, 5)", "sigma"), PriorStatement("uniform(-5, 5)", "b"))
    assert rows["sigma", None, None].bounds == (0.0, 5.0)
    assert rows["b", "x", None].bounds == (-5.0, 5.0)


def test_the_parameters_of_families_can_be_set() -> None:
    student = find_family("student")
    rows = resolve(
        (PriorStatement("normal(0, 10)", "sigma"), PriorStatement("uniform(0, 40)", "nu")), student, design()
    )
    found = {row.class_: row for row in rows}
    assert (found["sigma"].prior, found["nu"].prior) == ("normal(0, 10)", "uniform(0, 40)")
    assert found["nu"].bounds == (1.0, 40.0)
    (shape,) = [
        row
        for row in resolve((PriorStatement("exponential(1)", "shape"),), find_family("negbinomial"), design())
        if row.class_ == "shape"
    ]
    assert (shape.prior, shape.source) == ("exponential(1)", "user")
    with pytest.raises(InvalidModel, match="above 1"):
        resolve((PriorStatement("constant(0.5)", "nu"),), student, design())
    with pytest.raises(InvalidModel, match="no parameter of class 'shape'"):
        resolve((PriorStatement("exponential(1)", "shape"),), student, design())


def test_the_columns_of_a_cell_may_be_named_in_any_order() -> None:
    cells = {
        "y": np.arange(12.0) ** 2,
        "x": np.arange(12) % 5,
        "g": np.arange(12) % 3,
        "h": np.arange(12) % 2,
    }
    named = PriorStatement("normal(0, 3)", "sd", group="h:g")
    made = prepare(FitSpec("y ~ x + (1 | g:h)", Table.from_columns(cells), priors=(named,)))
    assert made.prior("sd", "Intercept", "g:h").prior == "normal(0, 3)"
    twice = (named, PriorStatement("normal(0, 2)", "sd", group="g:h"))
    with pytest.raises(InvalidModel) as caught:
        prepare(FitSpec("y ~ x + (1 | g:h)", Table.from_columns(cells), priors=twice))
    assert [issue.code for issue in caught.value.issues] == ["duplicate-prior"]
