"""The estimators of convergence, all quantities at once, against those of arviz_stats, one at a time."""

import warnings

import numpy as np
import pytest
from arviz_stats.base.array import array_stats as az

from model.frame.design import Float
from model.results.convergence import ascending
from model.results.estimate import estimate, estimates

AXES = {"chain_axis": 0, "draw_axis": 1}


def chains(kind: str, size: tuple[int, int]) -> Float:
    """Draws (quantity, chain, draw) as samplers of different kinds would give them."""
    source = np.random.default_rng(7)
    x = source.standard_normal((4, *size))
    for t in range(1, size[1]):
        if kind == "slow":
            x[:, :, t] = 0.97 * x[:, :, t - 1] + 0.2 * x[:, :, t]
        elif kind == "repeats":
            x[:, :, t] = np.where(source.random((4, size[0])) < 0.3, x[:, :, t - 1], x[:, :, t])
        elif kind == "alternating":
            x[:, :, t] -= 0.6 * x[:, :, t - 1]
    return x + np.arange(size[0])[:, None] * 0.3 if kind == "apart" else x


@pytest.mark.parametrize("kind", ["independent", "slow", "repeats", "alternating", "apart"])
@pytest.mark.parametrize("size", [(4, 1000), (4, 1001), (1, 100), (2, 7), (4, 4), (3, 5)])
def test_the_figures_are_those_of_arviz(kind: str, size: tuple[int, int]) -> None:
    draws = chains(kind, size)
    for own, found in zip(draws, estimates(draws, 0.9), strict=True):
        z = (own - own.mean()) / own.std(ddof=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = [
                own.std(ddof=1) / az.ess(z, method="mean", **AXES) ** 0.5,
                az.ess(z, method="bulk", **AXES),
                az.ess(z, method="tail", prob=(0.05, 0.95), **AXES),
                az.rhat(z, method="rank", **AXES) if size[0] > 1 else np.nan,
            ]
        figures = [found.mcse_mean, found.ess_bulk, found.ess_tail, found.r_hat]
        np.testing.assert_allclose([np.nan if f is None else f for f in figures], expected, rtol=1e-9)
        np.testing.assert_allclose(
            [found.lower, found.median, found.upper], np.quantile(own, [0.05, 0.5, 0.95]), rtol=1e-12
        )


def test_neighbors_do_not_change_a_quantity() -> None:
    draws = np.concatenate([chains("slow", (4, 200)), chains("independent", (4, 200))])
    assert estimates(draws, 0.95) == [estimate(own, 0.95) for own in draws]


def test_what_has_no_figure_has_none() -> None:
    still = estimate(np.full((4, 100), 0.1), 0.95)
    assert (still.mean, still.ess_bulk, still.ess_tail, still.r_hat, still.mcse_mean) == (
        pytest.approx(0.1), None, None, None, None
    )  # fmt: skip
    few = estimate(np.array([[1.0, 2.0, 3.0]]), 0.95)
    assert few.median == 2.0
    assert few.ess_bulk is None


def test_chains_that_stand_still_apart_do_not_agree() -> None:
    apart = np.repeat(np.arange(4.0)[:, None], 100, axis=1)
    found = estimate(apart, 0.95)
    assert found.ess_bulk is not None
    assert found.ess_bulk < 10


def test_scales_do_not_matter() -> None:
    draws = chains("repeats", (4, 500))[0]
    usual, tiny = estimate(draws, 0.95), estimate(draws * 2.0**-300, 0.95)
    assert (tiny.ess_bulk, tiny.r_hat) == pytest.approx((usual.ess_bulk, usual.r_hat))


def test_places_of_values_in_order() -> None:
    source = np.random.default_rng(3)
    usual = source.standard_normal((6, 1001))
    usual[1] = np.round(usual[1], 1)  # equal ones
    usual[2] = 1.0 + 1e-15 * usual[2]  # told apart by their last digits only
    usual[3] = np.abs(usual[3])
    usual[4, ::7] = -0.0
    usual[4, ::5] = 0.0
    usual[5] *= 1e300
    for values in (usual, usual[:, :1], usual[:, :2], usual[:, ::-1]):
        in_order, places = ascending(values)
        np.testing.assert_array_equal(in_order, np.sort(values, axis=1))
        np.testing.assert_array_equal(np.take(values, places), in_order)
        first = values.shape[1] * np.arange(6)[:, None]
        np.testing.assert_array_equal(
            np.sort(places - first, axis=1), np.tile(np.arange(values.shape[1]), (6, 1))
        )
