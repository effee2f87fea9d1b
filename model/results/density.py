"""The density of draws of one quantity, smoothed, with nothing beyond the quantity's own bounds."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from model.frame.design import Float
from model.results.estimate import constant

POINTS = 256
_REACH = 3.0
"""Bandwidths beyond the outermost draws."""


def kernel_density(draws: Float, bounds: tuple[float, float], points: int = POINTS) -> tuple[Float, Float]:
    """Points and the density at them of draws (of any dims), reflected at the bounds: (point,) each.

    A gaussian kernel over cells, with the bandwidth of R's `density` (Silverman 1986, 3.31).
    Raises ValueError for draws that are all equal.
    """
    values = np.asarray(draws, dtype=np.float64).ravel()
    if constant(values.min(), values.max()):
        raise ValueError("draws that are all equal have no density")
    lower, upper = np.quantile(values, [0.25, 0.75])
    sd = float(values.std())
    spread = min(sd, float(upper - lower) / 1.34) or sd
    bandwidth = 0.9 * spread * len(values) ** -0.2
    low = max(float(values.min()) - _REACH * bandwidth, bounds[0])
    high = min(float(values.max()) + _REACH * bandwidth, bounds[1])
    edges = np.linspace(low, high, points + 1)
    width = (high - low) / points
    share = np.histogram(values, edges)[0] / (len(values) * width)
    return (edges[1:] + edges[:-1]) / 2, np.asarray(
        gaussian_filter1d(share, bandwidth / width, mode="reflect")
    )
