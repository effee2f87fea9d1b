"""What NUTS moves, as one vector: where each coordinate starts, about how much it varies, and which noise is its own.

Padding and constants rest: they have no noise, so they change neither a trajectory nor anybody else's randomness.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.frame.design import Float
from model.streams import stream
from worker.programs.full import sites
from worker.shape import FullShape


@dataclass(frozen=True, slots=True)
class Coordinates:
    """The coordinates of a full model, each field of shape (coordinate,)."""

    center: Float
    """Where the chains start, on the real line."""
    variances: Float
    """About what the posterior's variances are there."""
    learned: NDArray[np.bool_]
    """Whether warm-up improves on that; the variance of white noise is one, and what a warm-up finds is scatter."""
    streams: NDArray[np.int64]
    """The number of each coordinate's noise; -1 for one that rests."""

    @classmethod
    def of(
        cls,
        shape: FullShape,
        center: Mapping[str, Float],
        variances: Mapping[str, Float],
        moves: Mapping[str, NDArray[np.bool_]],
    ) -> "Coordinates":
        """Line up what is given by site; sites that are not in `moves` move as a whole."""
        names = sites(shape)
        whole = {name: np.ones(size, dtype=bool) for name, size in names.items()}
        moving = np.concatenate([moves.get(name, whole[name]).ravel() for name in names])
        return cls(
            center=np.concatenate([center[name].ravel() for name in names]),
            variances=np.concatenate([variances[name].ravel() for name in names]),
            learned=np.concatenate([whole[name].ravel() & (not name.endswith("/white")) for name in names]),
            streams=np.where(moving, np.cumsum(moving) - 1, -1),
        )

    def start(self, seed: int, chain: int) -> Float:
        """A starting point of its own for each chain, scattered around the center."""
        moving = self.streams >= 0
        at = self.center.copy()
        noise = stream(seed, "nuts start", chain).uniform(-1, 1, int(moving.sum()))
        at[moving] += np.sqrt(self.variances[moving]) * noise
        return at
