"""Level-specific deviations drawn on request: their distribution against dense algebra, and their independence of how
they are asked for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from model.frame.design import Design, Float
from model.moments import accumulate, standardize
from model.results.effects import CollapsedEffects, Given, new_deviations
from tests.worker.models import plan

ROOT = np.array([[1.0, 0.0], [0.4, np.sqrt(1 - 0.16)]])
SD = np.array([1.3, 0.6])
SIGMA = 0.8
DRAWS = 20_000


def effects_of(design: Design) -> CollapsedEffects:
    standardized = standardize(design)
    factor = design.factors[0]
    moments = accumulate(standardized, design.factors)
    at = standardized.coordinates
    return CollapsedEffects(
        factor.name,
        factor.levels,
        moments.a,
        moments.b,
        coordinates=at,
        z_map=at.z_maps[0],
        other_maps=(),
        seed=3,
    )


def drawn_levels(effects: CollapsedEffects, levels: Sequence[int], at: Given) -> Float:
    """Draws (draw, level, coef)."""
    return np.stack(effects.given(at).draw(levels)).transpose(2, 0, 1)


def given(population: Any, draws: int = DRAWS) -> Given:
    shape = (1, draws)
    return Given(
        np.broadcast_to(population, (*shape, len(population))),
        np.broadcast_to(SD, (*shape, 2)),
        np.broadcast_to(ROOT, (*shape, 2, 2)),
        np.full(shape, SIGMA),
    )


@pytest.mark.parametrize(
    "formula", ["y ~ x + w + (1 + x | g)", "y | weights(wt) ~ x + w + offset(off) + (1 + x | g)"]
)
def test_deviations_have_their_conditional_distribution(formula: str) -> None:
    design = plan(formula).design()
    assert design.y is not None
    population = np.array([1.2, 0.4, -0.3])
    drawn = drawn_levels(effects_of(design), range(6), given(population))
    weight = np.ones(design.rows) if design.weights is None else design.weights
    phi = (ROOT @ ROOT.T) * np.outer(SD, SD)
    for level in range(6):
        rows = design.factors[0].index == level
        z = design.factors[0].z[rows]
        residual = (design.y - design.offset - design.x @ population)[rows]
        precision = np.linalg.inv(phi) + (z * weight[rows, None]).T @ z / SIGMA**2
        mean = np.linalg.solve(precision, (z * weight[rows, None]).T @ residual / SIGMA**2)
        whitened = (drawn[:, level] - mean) @ np.linalg.cholesky(precision)
        for j in range(2):
            assert stats.kstest(whitened[:, j], "norm").pvalue > 1e-4
        assert abs(np.corrcoef(whitened.T)[0, 1]) < 0.03


def test_a_level_has_the_same_draws_whatever_is_asked_beside_it() -> None:
    effects = effects_of(plan("y ~ x + (1 + x | g)").design())
    at = given(np.array([1.0, 0.5]), 50)
    together = drawn_levels(effects, [4, 0, 2], at)
    np.testing.assert_allclose(drawn_levels(effects, [2], at)[:, 0], together[:, 2], rtol=1e-12)
    assert not np.allclose(together[:, 0], together[:, 1])


def test_a_level_without_rows_has_the_distribution_of_new_ones() -> None:
    made = plan("y ~ x + (1 + x | g)", levels={"g": [*(f"g{i}" for i in range(6)), "empty"]})
    design = made.design()
    assert [level for level in design.factors[0].levels if level == ("empty",)]
    drawn = drawn_levels(
        effects_of(design), [len(design.factors[0].levels) - 1], given(np.array([1.0, 0.5]))
    )[:, 0]
    np.testing.assert_allclose(np.cov(drawn.T), (ROOT @ ROOT.T) * np.outer(SD, SD), rtol=0.05, atol=0.02)


def test_new_levels_are_reproducible_by_label_and_keep_their_correlation() -> None:
    at = given(np.zeros(2))
    new = new_deviations("g", at)
    first, again = new.draw(("a",), 1), new.draw(("a",), 1)
    np.testing.assert_array_equal(first, again)
    other = new.draw(("b",), 1)
    assert abs(np.corrcoef(first[0], other[0])[0, 1]) < 0.03
    assert np.corrcoef(first)[0, 1] == pytest.approx(0.4, abs=0.03)
    np.testing.assert_allclose(first.std(axis=1), SD, rtol=0.03)
