"""Where the draws of each chain stand among those of all chains: flat where the chains agree.

Source: Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), rank-normalization, folding, and localization.
"""

import numpy as np
from scipy.stats import rankdata

from model.frame.design import Float

BINS = 20
_FEWEST_IN_A_BIN = 5


def rank_histogram(draws: Float, bins: int = BINS) -> Float:
    """Count the ranks of draws (chain, draw) among all of them in equal bins: (chain, bin).

    Equal draws share the mean of their ranks. Where the draws are few the bins are too, so that chance alone
    expects five in each.
    """
    chains, length = draws.shape
    bins = max(1, min(bins, length // _FEWEST_IN_A_BIN))
    ranks = rankdata(draws, axis=None).reshape(chains, length)
    places = np.floor((ranks - 0.5) / draws.size * bins).astype(np.intp)
    return np.stack([np.bincount(row, minlength=bins) for row in places]).astype(np.float64)
