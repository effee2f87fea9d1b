"""The smoothed density of draws: it integrates to one, and stays within the bounds."""

import numpy as np
import pytest
from scipy import stats

from model.results.density import kernel_density

REAL = (-np.inf, np.inf)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_the_density_of_normal_draws_is_about_the_normal_density(scale: float) -> None:
    draws = scale * np.random.default_rng(1).normal(size=(4, 5000))
    points, density = kernel_density(draws, REAL)
    step = points[1] - points[0]
    assert density.sum() * step == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(density * scale, stats.norm.pdf(points / scale), atol=0.03)


def test_the_mass_at_a_bound_stays_on_its_side() -> None:
    draws = np.random.default_rng(2).exponential(size=20_000)
    points, density = kernel_density(draws, (0.0, np.inf))
    assert points[0] > 0
    assert density.sum() * (points[1] - points[0]) == pytest.approx(1, abs=1e-3)
    assert density[0] == pytest.approx(1, abs=0.1)
    points, density = kernel_density(2 * np.random.default_rng(3).random(20_000) - 1, (-1.0, 1.0))
    assert (points[0], points[-1]) == pytest.approx((-1, 1), abs=0.01)
    np.testing.assert_allclose(density, 0.5, atol=0.06)


def test_equal_draws_have_no_density() -> None:
    # The mean of many times 0.1 is not 0.1, so that they seem to scatter.
    for value in (2.5, 0.1):
        with pytest.raises(ValueError, match="equal"):
            kernel_density(np.full((4, 1000), value), REAL)
