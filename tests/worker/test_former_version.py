"""Posteriors that statistics version 5 has stored can still be read."""

import numpy as np

from model.results.posterior import Posterior
from tests.worker.models import plan
from tests.worker.silent import Silent
from worker.fitting import fit


def test_scales_of_columns_are_maps() -> None:
    posterior = fit(plan("y ~ x + (1 + x | g) + (1 | h)", sampler={"draws": 50}), Silent()).posterior
    meta, arrays = posterior.to_parts()
    former = {}
    for name, array in arrays.items():
        if name.endswith("/z_map"):
            former[name.removesuffix("z_map") + "z_scale"] = 1.0 / np.diagonal(array)
        elif "/other_maps/" in name:
            former[name.replace("other_maps", "other_scales")] = 1.0 / np.diagonal(array)
        else:
            former[name] = array
    assert former.keys() != arrays.keys()
    del meta["encoding"]["collinear"], meta["encoding"]["combinations"]
    read = Posterior.from_parts(meta, former)
    for factor in ("g", "h"):
        np.testing.assert_allclose(read.deviations(factor, [0, 1]), posterior.deviations(factor, [0, 1]))
