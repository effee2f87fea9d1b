"""The density of the full model against one written out directly, and what must not change it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import worker.compiled  # noqa: F401  # turns on 64-bit floats
from model.spec import FitPlan
from tests.worker.glmms import columns, plan
from worker.full_problem import FullProblem, full_problem
from worker.programs import full
from worker.programs.full import log_density

NESTED = "x + (1 + x | g) + (1 | h)"


def data(family: str, link: str) -> dict[str, Any]:
    made = columns(family, link, rows=60, levels=6)
    return made | {"h": [f"h{i}" for i in np.random.default_rng(1).integers(0, 9, 60)]}


def position(problem: FullProblem, seed: int) -> dict[str, Any]:
    center = jnp.asarray(problem.coordinates.center)
    source = np.random.default_rng(seed)
    return {name: source.normal(at, 0.3) for name, at in full.position(problem.shape, center).items()}


def evaluated(problem: FullProblem, at: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    value, named = jax.jit(lambda where: log_density(problem.shape, where, problem.data))(at)
    return float(value), {name: np.asarray(values) for name, values in named.items()}


def direct(made: FitPlan, problem: FullProblem, named: dict[str, Any]) -> float:
    """Log density of the response and of the deviations, but for what does not depend on the deviations."""
    design = made.design()
    x = design.x - np.r_[0.0, design.x[:, 1:].mean(axis=0)]
    eta, total = x @ named["population"][: x.shape[1]], 0.0
    for number, f in enumerate(problem.order):
        factor, u, sd = design.factors[f], named[f"{number}/u"], named[f"{number}/sd"]
        phi = np.outer(sd, sd) * (named[f"{number}/root"] @ named[f"{number}/root"].T)
        total += stats.multivariate_normal.logpdf(u, np.zeros(len(sd)), phi).sum()
        eta = eta + np.einsum("rk,rk->r", factor.z, u[factor.index])
    assert design.y is not None
    mean = made.family.inverse_link(eta)
    if made.family.name == "gaussian":
        return float(total + stats.norm.logpdf(design.y, mean, named["parameters"][0]).sum())
    return float(total + stats.poisson.logpmf(design.y, mean).sum())


@pytest.mark.parametrize(("family", "link"), [("gaussian", "identity"), ("poisson", "log")])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_change_of_variables_is_exact(family: str, link: str, seed: int) -> None:
    made = plan(family, link, NESTED, data=data(family, link))
    problem = full_problem(made, made.design(), 1)
    first = position(problem, seed)
    other = first | {name: position(problem, 7)[name] for name in first if name.endswith("white")}
    names = [name for name in first if name.endswith("white")]

    def log_slope(at: dict[str, Any]) -> float:
        """Log determinant of the deviations' derivative by the noise, all factors together."""

        def deviations(whites: list[Any]) -> list[Any]:
            where = at | dict(zip(names, whites, strict=True))
            named = log_density(problem.shape, where, problem.data)[1]
            return [named[name.replace("white", "u")].T for name in names]

        blocks = jax.jit(jax.jacfwd(deviations))([at[name] for name in names])
        sizes = [at[name].size for name in names]
        rows = [
            np.hstack([np.asarray(block).reshape(size, -1) for block in row])
            for row, size in zip(blocks, sizes, strict=True)
        ]
        return float(np.linalg.slogdet(np.vstack(rows))[1])

    differences = []
    for at in (first, other):
        value, named = evaluated(problem, at)
        differences.append(value - direct(made, problem, named) - log_slope(at))
    assert differences[0] == pytest.approx(differences[1], abs=1e-8)


def test_a_weight_of_two_is_a_row_twice() -> None:
    single = columns("poisson", "log")
    twice = {name: list(values) * 2 for name, values in single.items()}
    weighted = single | {"w": np.full(len(single["y"]), 2.0)}
    plans = (
        plan("poisson", "log", data=twice),
        plan("poisson", "log", data=weighted, left="y | weights(w)"),
    )
    problems = [full_problem(made, made.design(), 1) for made in plans]
    at = position(problems[0], 3)
    values = [evaluated(problem, at)[0] for problem in problems]
    assert values[0] == pytest.approx(values[1], rel=1e-10)


@pytest.mark.parametrize(("family", "rows"), [("bernoulli", 128), ("poisson", 128), ("negbinomial", 512)])
def test_rows_of_equal_predictors_are_one_row_where_that_is_exact(family: str, rows: int) -> None:
    # Five values of x in 24 levels: 120 cells of 480 rows, padded to the next bucket.
    made = plan(family, "logit" if family == "bernoulli" else "log")
    assert full_problem(made, made.design(), 1).shape.rows == rows


def test_padding_of_rows_and_columns_changes_nothing() -> None:
    made = plan("poisson", "log", "x + w + I(x * w) + I(w * w) + (1 | g)")
    problem = full_problem(made, made.design(), 1)
    assert problem.shape.columns == 6
    at = position(problem, 1)
    moved = at | {"coefficients": at["coefficients"] + np.r_[np.zeros(5), 1.0]}
    (first, named), (second, same) = evaluated(problem, at), evaluated(problem, moved)
    assert first == second
    np.testing.assert_array_equal(named["0/u"], same["0/u"])
    streams = full.position(problem.shape, jnp.asarray(problem.coordinates.streams))
    np.testing.assert_array_equal(streams["coefficients"], [0, 1, 2, 3, 4, -1])
