"""What must not change a fit: the order of rows, the names of levels, units, and what else was fitted before."""

from typing import Any

import numpy as np
import pytest

from model.priors import PriorStatement
from model.results.posterior import Posterior
from tests.worker import glmms
from tests.worker.models import columns, plan
from tests.worker.silent import Silent
from worker import full_problem
from worker.fitting import fit
from worker.padded_sums import distinct_levels
from worker.shape import bucket

FORMULA = "y ~ x + w + (1 + x | g)"
PRIORS = (
    PriorStatement("normal(1, 2)", "Intercept"),
    PriorStatement("normal(0, 1)", "b"),
    PriorStatement("normal(0, 2)", "sd"),
    PriorStatement("normal(0, 2)", "sigma"),
)


def posterior(
    data: dict[str, Any] | None = None, formula: str = FORMULA, priors: Any = PRIORS, **more: Any
) -> Posterior:
    made = plan(formula, priors, data=data or columns(), sampler={"draws": 200, "seed": 11, **more})
    return fit(made, Silent()).posterior


def same(a: Posterior, b: Posterior, rtol: float = 1e-8) -> None:
    np.testing.assert_allclose(a.population, b.population, rtol=rtol)
    np.testing.assert_allclose(a.parameters["sigma"], b.parameters["sigma"], rtol=rtol)
    for name in a.factors:
        np.testing.assert_allclose(
            a.factors[name].covariance, b.factors[name].covariance, rtol=1e2 * rtol, atol=1e-9
        )


def test_the_order_of_rows() -> None:
    data = columns()
    order = np.random.default_rng(0).permutation(len(data["y"]))
    shuffled = {name: list(np.array(values)[order]) for name, values in data.items()}
    first, second = posterior(), posterior(shuffled)
    same(first, second)
    np.testing.assert_allclose(first.deviations("g", [2]), second.deviations("g", [2]), rtol=1e-6, atol=1e-9)


def test_the_order_of_factors() -> None:
    crossed = (*PRIORS[:2], *PRIORS[2:])
    first = posterior(formula="y ~ x + (1 + x | g) + (1 | h)", priors=crossed)
    second = posterior(formula="y ~ x + (1 | h) + (1 + x | g)", priors=crossed)
    same(first, second)
    for name in ("g", "h"):
        np.testing.assert_allclose(
            first.deviations(name, [1]), second.deviations(name, [1]), rtol=1e-6, atol=1e-9
        )


def test_the_names_of_levels() -> None:
    data = columns()
    renamed = data | {"g": [{"g0": "zz", "g1": "é", "g2": "a b"}.get(level, level) for level in data["g"]]}
    same(posterior(), posterior(renamed))


def test_the_order_of_columns() -> None:
    data = columns()
    same(posterior(), posterior(dict(reversed(data.items()))))


def test_levels_without_rows() -> None:
    made = plan(
        FORMULA,
        PRIORS,
        levels={"g": [f"g{i}" for i in range(40)]},
        sampler={"draws": 200, "seed": 11},
    )
    same(posterior(), fit(made, Silent()).posterior)


def test_units_of_the_response_and_of_a_covariate() -> None:
    data = columns()
    scaled = data | {"y": 1e3 * data["y"], "x": 1e-2 * data["x"]}
    priors = (
        PriorStatement("normal(1000, 2000)", "Intercept"),
        PriorStatement("normal(0, 1000)", "b"),
        PriorStatement("normal(0, 100000)", "b", "x"),
        PriorStatement("normal(0, 2000)", "sd"),
        PriorStatement("normal(0, 200000)", "sd", "x", "g"),
        PriorStatement("normal(0, 2000)", "sigma"),
    )
    first, second = posterior(), posterior(scaled, priors=priors)
    np.testing.assert_allclose(second.population, first.population * np.array([1e3, 1e5, 1e3]), rtol=1e-6)
    np.testing.assert_allclose(second.factors["g"].sd, first.factors["g"].sd * [1e3, 1e5], rtol=1e-6)


def test_a_shifted_response() -> None:
    data = columns()
    shifted = PriorStatement("normal(101, 2)", "Intercept"), *PRIORS[1:]
    first, second = posterior(), posterior(data | {"y": data["y"] + 100.0}, priors=shifted)
    np.testing.assert_allclose(
        second.population, first.population + np.array([100.0, 0, 0]), rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_levels_of_a_balanced_design_count_as_one(k: int) -> None:
    """Wherever they stand: else designs of one shape would have programs of many."""
    z = np.random.default_rng(k).normal(size=(10, k))
    for levels in range(2, 80):
        a = np.repeat((z.T @ z)[:, :, None], levels, axis=2)
        assert distinct_levels(a).first.tolist() == [0]
        a[0, 0, levels // 2] += 1e-9
        assert len(distinct_levels(a).first) == 2


def test_what_was_fitted_before() -> None:
    first = posterior()
    posterior(columns(rows=90, levels=9, seed=4))
    same(first, posterior(), rtol=1e-15)


def test_more_chains_leave_the_first_ones_alone() -> None:
    few, many = posterior(chains=2), posterior(chains=4)
    np.testing.assert_array_equal(few.population, many.population[:2])


def test_seeds_differ() -> None:
    assert not np.allclose(posterior().population, posterior(seed=12).population)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_tiny_and_huge_responses(scale: float) -> None:
    data = columns()
    data["y"] = data["y"] * scale
    priors = tuple(
        PriorStatement(f"normal(0, {10 * scale})", name) for name in ("Intercept", "b", "sd", "sigma")
    )
    post = posterior(data, priors=priors)
    reference = posterior(
        priors=tuple(PriorStatement("normal(0, 10)", n) for n in ("Intercept", "b", "sd", "sigma"))
    )
    np.testing.assert_allclose(post.population, scale * reference.population, rtol=1e-5)


def by_nuts(data: dict[str, Any] | None = None, **more: Any) -> Posterior:
    data = data or glmms.columns("poisson", "log")
    made = glmms.plan("poisson", "log", "x + I(x^2) + (1 | g)", data, warmup=150, draws=150, **more)
    return fit(made, Silent()).posterior


def same_draws(a: Posterior, b: Posterior) -> None:
    np.testing.assert_allclose(a.population, b.population, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(a.factors["g"].covariance, b.factors["g"].covariance, rtol=1e-9)
    np.testing.assert_allclose(a.deviations("g", range(24)), b.deviations("g", range(24)), atol=1e-9)


def test_nuts_and_the_order_of_rows_and_columns() -> None:
    data = glmms.columns("poisson", "log")
    order = np.random.default_rng(0).permutation(len(data["y"]))
    shuffled = {name: np.array(data[name])[order] for name in reversed(data)}
    same_draws(by_nuts(), by_nuts(shuffled))


def test_nuts_and_the_padding_of_rows_columns_and_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    first = by_nuts()
    monkeypatch.setattr(full_problem, "bucket", lambda size: bucket(2 * size + 1))
    same_draws(first, by_nuts())


@pytest.mark.parametrize("chains", [2, 4])
def test_nuts_and_the_number_of_chains(chains: int) -> None:
    many, few = by_nuts(chains=6), by_nuts(chains=chains)
    np.testing.assert_allclose(few.population, many.population[:chains], rtol=1e-9, atol=1e-9)
