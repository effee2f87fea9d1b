"""Equations: golden files of every structure, and the law that both notations compute what the design computes."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.equations.expressions import (
    Coded,
    Datum,
    Expression,
    Product,
    Sum,
    Symbol,
    Value,
)
from model.equations.hierarchy import hierarchy
from model.equations.notations import expanded, hierarchical
from model.family import FAMILIES
from model.frame.functions import evaluate
from model.spec import FitPlan
from tests.model.equations.cases import CASES, GOLDEN, PUPILS, Case, written

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "equations.md"
Rows = np.ndarray[Any, np.dtype[np.float64]]
STRUCTURES = {
    "school within crossed": "score ~ age * experience * sector + (1 + age | school/room) + (1 | rater)",
    "full coding of a factor": "score ~ method + (0 + method | teacher) + (1 + method || rater)",
    "levels of levels": "score ~ experience:sector + effort + (effort || teacher)",
    "another baseline": 'score ~ C(method, ref = "B") * age + (C(method, helmert) | school:room)',
    "a slope at the wrong place": "score ~ age + sector + (1 + sector | teacher) + (age | rater)",
    "no intercept": "score ~ 0 + age:experience + (0 + age | teacher) + (1 | rater)",
    "bases within levels": "score ~ poly(age, 2) * experience + (poly(age, 2) | teacher)",
    "offsets": "score ~ offset(-age) + offset(effort - days) + sqrt(effort) + (1 | teacher)",
}


@pytest.mark.parametrize("name", CASES)
def test_the_golden_file_is_what_is_written(name: str) -> None:
    assert written(CASES[name].equations()) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_every_golden_file_has_its_case_and_every_family_one() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(CASES)
    assert {case.family for case in CASES.values()} == set(FAMILIES)


def test_the_guide_shows_what_is_written() -> None:
    of = CASES["level_predictors"].equations()
    shown = [line[4:] for line in GUIDE.read_text(encoding="utf-8").splitlines() if line.startswith("    ")]
    assert tuple(shown) == (*of.hierarchical.text, of.expanded.text[1])


@pytest.mark.parametrize(
    "formula", [*STRUCTURES.values(), *(c.formula for c in CASES.values() if c.data is PUPILS)]
)
def test_both_notations_compute_the_linear_predictor(formula: str) -> None:
    binomial = "trials" in formula or "cbind" in formula
    plan = Case(formula, "binomial" if binomial else "gaussian").plan()
    design, of = plan.design(), hierarchy(plan.encoding)
    rng = np.random.default_rng(3)
    beta = rng.normal(size=len(design.coefficients))
    values: dict[Symbol, Rows] = {}
    for name, value in zip(design.coefficients, beta, strict=True):
        (symbol,) = of.parameters[
            "Intercept" if name == "Intercept" else "b", None if name == "Intercept" else name, None
        ]
        values[symbol] = np.full(design.rows, value)
    eta = design.offset + design.x @ beta
    blocks = iter(of.blocks)
    for factor in design.factors:
        u = rng.normal(size=(len(factor.levels), len(factor.coefficients)))
        eta += (factor.z * u[factor.index]).sum(axis=1)
        for _ in factor.blocks:
            block = next(blocks)
            for member, deviation in zip(block.members, block.deviations, strict=True):
                values[deviation] = u[factor.index, member]
    computed = [value_of(expanded(plan, of).right, plan, values)]
    mean, *equations = hierarchical(plan, of)
    for equation in reversed(equations):
        assert isinstance(equation.left, Symbol)
        values[equation.left] = value_of(equation.right, plan, values)
    computed.append(value_of(mean.right, plan, values))
    for found in computed:
        np.testing.assert_allclose(found, eta, rtol=1e-10, atol=1e-10)


def value_of(expression: Expression, plan: FitPlan, values: Mapping[Symbol, Rows]) -> Rows:
    """The value of an expression in every row."""
    variables = plan.encoding.variables
    match expression:
        case Symbol():
            return values[expression]
        case Value(value):
            return np.full(plan.rows, value)
        case Datum(node, _, column):
            found = evaluate(node, plan.table, variables.memory)
            return found if column is None else found[:, column - 1]
        case Coded(name):
            for node in plan.encoding.structure.variables:
                for full in (True, False):
                    names = variables.names(node, full)
                    if variables.categorical(node) and name in names:
                        return variables.values(node, full, plan.table)[:, names.index(name)]
        case Sum(terms):
            return np.sum([value_of(term, plan, values) for term in terms], axis=0)
        case Product(factors):
            return np.prod([value_of(factor, plan, values) for factor in factors], axis=0)
    raise AssertionError(f"no value of {expression}")


def test_an_index_says_at_which_level_a_predictor_varies() -> None:
    plan = Case(STRUCTURES["school within crossed"]).plan()
    slope = next(c for c in hierarchy(plan.encoding).coefficients if c.number == 1)
    found = [(part.symbol.numbers, part.index) for part in slope.fixed]
    assert found == [((1, 0), ()), ((1, 1), ("k", "l")), ((1, 2), ("k",)), ((1, 3), ("k", "l"))]


def test_a_predictor_whose_slope_varies_belongs_to_the_rows() -> None:
    plan = Case(STRUCTURES["a slope at the wrong place"]).plan()
    lines = Case(STRUCTURES["a slope at the wrong place"]).equations().hierarchical.text
    assert "b2_k = g20 + u2_k" in lines
    assert plan.encoding.constants[0] == ("sector",)


def test_nested_factors_have_equations_one_within_the_other() -> None:
    lines = CASES["nested"].equations().hierarchical.text
    assert lines[2:4] == (
        "b0_kl = b0_k + g01 experience_kl + v0_kl",
        "b0_k = g00 + g02 sectorpublic_k + u0_k",
    )


def test_every_prior_is_of_symbols_that_the_equations_have() -> None:
    for case in CASES.values():
        of = case.equations()
        for row in of.symbols:
            for notation in (of.hierarchical, of.expanded):
                assert row.latex in notation.latex
                assert any(row.symbol in line for line in notation.text[1:])


def test_more_factors_than_letters_are_told_apart() -> None:
    columns = {f"g{n}": [f"l{(row * (n + 3) + row // (n + 2)) % 5}" for row in range(48)] for n in range(14)}
    formula = "score ~ 1 + " + " + ".join(f"(1 | {name})" for name in columns)
    case = Case(formula, data={**PUPILS, **columns})
    of = hierarchy(case.plan().encoding)
    assert len(set(of.rows)) == 15
    for one, other in pairwise(sorted(s.letter for block in of.blocks for s in block.deviations)):
        assert one != other


def test_a_long_sum_goes_on_in_another_row() -> None:
    latex = Case("score ~ age * effort * method + (1 | teacher)").equations().expanded.latex
    rows = latex.split("\\\\\n")
    assert sum(row.count("underbrace") for row in rows) > 2
    assert all(row.startswith("&\\quad {}+ ") or "&=" in row or "&\\sim" in row for row in rows)
