"""What plots of replicated responses draw holds for replications of any size."""

import numpy as np
import pytest

from model.criticism.curves import Density


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_replicated_data_of_another_size_have_densities_on_the_grid_of_the_responses(scale: float) -> None:
    rng = np.random.default_rng(1)
    density = Density.of(rng.normal(size=30), scale * rng.normal(size=(3, 30)))
    step = density.grid[1] - density.grid[0]
    assert np.isfinite(density.replicated).all()
    assert np.all(density.replicated.sum(axis=1) * step < 1.001)
    if scale == 1e9:
        assert density.replicated.max() < 1e-3 * density.observed.max()
