"""The models whose equations are kept as golden files; `python -m tests.model.equations.cases` writes the files anew.

Whoever writes them anew reads them, and looks at them as a picture too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.equations.notations import Equations, equations
from model.frame.table import Table
from model.priors import PriorStatement
from model.spec import FitPlan, FitSpec, prepare

GOLDEN = Path(__file__).parent
ROWS = 48
PUPILS: dict[str, list[Any]] = {
    "score": [400 + 7 * (row % 11) + row for row in range(ROWS)],
    "age": [round(0.1 * ((row * 7) % 23) - 1, 1) for row in range(ROWS)],
    "effort": [((row * 5) % 17) / 4 for row in range(ROWS)],
    "teacher": [f"t{row % 8}" for row in range(ROWS)],
    "experience": [(row % 8) ** 2 for row in range(ROWS)],
    "school": [f"s{row % 4}" for row in range(ROWS)],
    "sector": ["public" if row % 4 < 2 else "private" for row in range(ROWS)],
    "room": [f"r{row % 8 // 4}" for row in range(ROWS)],
    "rater": [f"h{row // 6}" for row in range(ROWS)],
    "method": ["A", "B", "C"] * (ROWS // 3),
    "passed": [int(row * row % 7 < 3) for row in range(ROWS)],
    "right": [row * 3 % 10 for row in range(ROWS)],
    "asked": [10] * ROWS,
    "days": [1 + row * 5 % 30 for row in range(ROWS)],
    "error": [0.5 + row % 3 for row in range(ROWS)],
}
HOSTILE = {
    "score_%": PUPILS["score"],
    "a_b$c&d#e{f}g^h~i\\j": PUPILS["age"],
    "b1": PUPILS["effort"],
    "学校 名": PUPILS["teacher"],
    "العمر": PUPILS["experience"],
    "naïve level": PUPILS["method"],
}


@dataclass(frozen=True, slots=True)
class Case:
    """A model by its request."""

    formula: str
    family: str = "gaussian"
    link: str | None = None
    priors: tuple[PriorStatement, ...] = ()
    center: bool = True
    data: Mapping[str, list[Any]] = field(default_factory=lambda: PUPILS)

    def plan(self) -> FitPlan:
        """The checked request."""
        table = Table.from_columns(self.data)
        return prepare(FitSpec(self.formula, table, self.family, self.link, self.priors, self.center))

    def equations(self) -> Equations:
        """The model's equations."""
        return equations(self.plan())


TEXTBOOK = (
    PriorStatement("normal(500, 100)", "Intercept"),
    PriorStatement("normal(0, 20)", "b"),
    PriorStatement("uniform(0, 100)", "sd"),
    PriorStatement("lkj(2)", "cor"),
    PriorStatement("uniform(0, 100)", "sigma"),
)
CASES = {
    "pooled": Case("score ~ age"),
    "random_intercepts": Case("score ~ age + (1 | teacher)"),
    "independent": Case("score ~ age + (1 + age || teacher)"),
    "joint": Case("score ~ age + (1 + age | teacher)", priors=TEXTBOOK, center=False),
    "three_coefficients": Case("score ~ age + effort + (1 + age + effort | teacher)"),
    "level_predictors": Case("score ~ age * experience + sector + (1 + age | teacher)"),
    "slope_without_deviations": Case("score ~ age * experience + effort + (1 | teacher)"),
    "nested": Case("score ~ age + experience + sector + (1 + age | school/room)"),
    "crossed": Case("score ~ age + sector + (1 + age | teacher) + (1 | rater)"),
    "cells": Case("score ~ 0 + method + (1 | school:room)"),
    "blocks": Case("score ~ age + (1 | teacher) + (0 + age | teacher)"),
    "correlated_blocks": Case("score ~ age + (1 + effort | teacher) + (0 + age + method | teacher)"),
    "contrasts": Case("score ~ C(method, sum) * age + factor(sector) + (1 | teacher)"),
    "bases": Case(
        "log(score) ~ poly(age, 2) + bs(effort, degree = 2) + ns(days, df = 2) + scale(experience):method"
    ),
    "arithmetic": Case(
        "score ~ I(age^2) + I((age + effort) / 2) + I(-age) + sqrt(effort) + log(days) + abs(age):effort"
        " + (1 | teacher)"
    ),
    "meta_analysis": Case("score | se(error) ~ experience + (1 | teacher)"),
    "weighted": Case("score | weights(days) ~ age + (1 | teacher)"),
    "student": Case("score ~ age + (1 | teacher)", "student"),
    "log_link": Case("score ~ age + (1 | teacher)", link="log"),
    "bernoulli": Case("passed ~ age + experience + (1 + age | teacher)", "bernoulli"),
    "binomial": Case("right | trials(asked) ~ age + (1 | teacher)", "binomial", "probit"),
    "successes_and_failures": Case("cbind(right, asked) ~ age + (1 | teacher)", "binomial", "cloglog"),
    "poisson": Case("right ~ age + offset(log(days)) + (1 | teacher)", "poisson"),
    "negbinomial": Case("right ~ age + (1 | teacher)", "negbinomial"),
    "priors": Case(
        "score ~ age + effort + experience + (1 + age | teacher)",
        priors=(
            PriorStatement("constant(2)", "b", "age"),
            PriorStatement("cauchy(0, 2.5)", "b"),
            PriorStatement("normal(3, 1e-06)", "sd", "age", "teacher"),
            PriorStatement("exponential(0.1)", "sigma"),
        ),
    ),
    "names": Case(
        "`score_%` ~ `a_b$c&d#e{f}g^h~i\\\\j` * `العمر` + b1 + `naïve level`"
        " + (1 + `a_b$c&d#e{f}g^h~i\\\\j` | `学校 名`)",
        data=HOSTILE,
    ),
}


def written(of: Equations) -> str:
    """A golden file: both notations as text, then both as LaTeX."""
    text = (
        "hierarchical",
        *of.hierarchical.text,
        "",
        "expanded",
        *of.expanded.text,
        "",
        of.hierarchical.latex,
        "",
        of.expanded.latex,
    )
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    for name, case in CASES.items():
        (GOLDEN / f"{name}.txt").write_text(written(case.equations()), encoding="utf-8")
