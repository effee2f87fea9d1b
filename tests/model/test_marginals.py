"""Priors beside posteriors: of the same quantity, with densities that integrate to one."""

from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from model.frame.table import Table
from model.priors import PriorStatement
from model.results.marginals import Marginal, marginals
from model.spec import FitSpec, prepare
from tests.service.samples import COLUMNS, make_posterior


def found(formula: str = "y ~ x + (1 + x | g)", **rest: Any) -> dict[str, Marginal]:
    plan = prepare(FitSpec(formula, Table.from_columns(COLUMNS), **rest))
    return {one.name: one for one in marginals(make_posterior(plan), plan.priors, center=plan.center)}


PRIORS = {
    ("Intercept", "student_t(3, 10, 4)"),
    ("b", "laplace(0, 2)"),
    ("sd", "uniform(0, 50)"),
    ("cor", "lkj(2)"),
    ("sigma", "cauchy(1, 2)"),
}


def test_every_parameter_has_its_prior_whose_density_integrates_to_one() -> None:
    every = found(priors=tuple(PriorStatement(text, class_) for class_, text in PRIORS))
    assert list(every) == [
        "b[Intercept]",
        "b[x]",
        "sd[g][Intercept]",
        "sd[g][x]",
        "cor[g][Intercept,x]",
        "sigma",
    ]
    for one in every.values():
        # By quantiles of a wide distribution, so that heavy tails are seen.
        low, high = one.bounds
        grid = stats.cauchy.ppf(np.linspace(1e-5, 1 - 1e-5, 400_001), scale=3)
        grid = grid[(grid > low) & (grid < high)]
        density = one.density(grid)
        assert density is not None
        assert integrate.trapezoid(density, grid) == pytest.approx(1, abs=2e-3)


def test_the_intercept_is_the_one_that_its_prior_is_about() -> None:
    plan = prepare(FitSpec("y ~ x + (1 | g)", Table.from_columns(COLUMNS)))
    posterior = make_posterior(plan)
    raw = posterior.population
    centered, *_ = marginals(posterior, plan.priors, center=True)
    assert centered.centered
    np.testing.assert_allclose(centered.draws, raw[:, :, 0] + raw[:, :, 1] * np.mean(COLUMNS["x"]))
    stated, *_ = marginals(posterior, plan.priors, center=False)
    assert not stated.centered
    np.testing.assert_array_equal(stated.draws, raw[:, :, 0])


def test_flat_priors_and_constants_have_no_density() -> None:
    every = found(priors=(PriorStatement("constant(2)", "sigma"),))
    assert every["b[x]"].density(np.array([0.0])) is None
    assert every["sigma"].density(np.array([2.0])) is None


def test_a_correlation_is_as_it_is_in_draws_of_the_whole_matrix() -> None:
    columns = COLUMNS | {"z": np.random.default_rng(4).normal(size=24).tolist()}
    statement = (PriorStatement("lkj(1.5)", "cor"),)
    plan = prepare(FitSpec("y ~ x + z + (1 + x + z | g)", Table.from_columns(columns), priors=statement))
    one = next(
        m for m in marginals(make_posterior(plan), plan.priors, center=True) if m.name.startswith("cor")
    )
    # The onion of Lewandowski, Kurowicka and Joe: the first correlation of a 3 x 3 matrix is 2 Beta(b, b) - 1.
    b = 1.5 + (3 - 2) / 2
    grid = np.linspace(-0.99, 0.99, 51)
    density = one.density(grid)
    assert density is not None
    np.testing.assert_allclose(density, stats.beta.pdf((grid + 1) / 2, b, b) / 2)
    # Without the beta: det(R)^(shape - 1) over the two others is proportional to the same density.
    others = np.linspace(-1, 1, 401)
    r13, r23 = np.meshgrid(others, others)
    proportional = []
    for r12 in grid:
        determinant = 1 + 2 * r12 * r13 * r23 - r12**2 - r13**2 - r23**2
        proportional.append(np.sqrt(np.maximum(determinant, 0)).sum())
    ratio = np.array(proportional) / density
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=0.02)
