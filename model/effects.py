"""Group-level deviations: given everything else they are independent from level to level, so they are drawn on
request.

`StoredEffects` are draws that a sampler made itself; `CollapsedEffects` keep the sums of the collapsed gaussian model
and draw any level exactly from its conditional normal distribution.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from model.design import Float, Level
from model.moments import Coordinates
from model.small import (
    Matrix,
    cholesky,
    identity_plus_congruence,
    solve_lower,
    solve_lower_transposed,
    times_lower_transposed,
)
from model.streams import stream


@dataclass(frozen=True, slots=True)
class Given:
    """What group-level deviations are conditioned on; dims (chain, draw, ...)."""

    population: Float  # (chain, draw, coef), of the raw columns
    sd: Float  # (chain, draw, coef)
    correlation_root: Float  # (chain, draw, coef, coef), lower Cholesky factor of the correlation matrix
    sigma: Float | None  # (chain, draw)
    others: tuple[Float, ...] = ()  # per other factor (chain, draw, level, coef): their deviations


class Effects(Protocol):
    """Draws of the deviations of any levels of one factor."""

    def draw(self, levels: Sequence[int], given: Given) -> Float:
        """Deviations (chain, draw, level, coef) of the levels with these numbers, in the user's units."""
        ...

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Plain values and arrays, for storage."""
        ...


@dataclass(frozen=True, slots=True)
class StoredEffects:
    """Deviations that were sampled together with everything else."""

    values: Float  # (chain, draw, level, coef)

    def draw(self, levels: Sequence[int], given: Given) -> Float:
        """Deviations (chain, draw, level, coef) of the levels with these numbers."""
        return self.values[:, :, np.asarray(levels, dtype=np.intp)]

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Plain values and arrays, for storage."""
        return {"kind": "stored"}, {"values": self.values}


@dataclass(frozen=True, slots=True)
class CollapsedEffects:
    """The conditional normal distribution of each level's deviations, in internal coordinates.

    With T = chol(Phi) / sigma, M = I + T'AT = CC': u | g ~ Normal(T M^-1 T'(B_y - B_x g), sigma^2 T M^-1 T'), where
    the other factors' columns stand beside those of x.
    """

    factor: str
    labels: tuple[Level, ...]
    a: Float  # (coef, coef, level)
    b: Float  # (coef, column, level); columns are [X, y, others] as in `moments`
    coordinates: Coordinates
    z_scale: Float  # (coef,)
    other_scales: tuple[Float, ...]  # per other factor (coef,)
    seed: int

    def draw(self, levels: Sequence[int], given: Given) -> Float:
        """Deviations (chain, draw, level, coef) of the levels with these numbers, in the user's units."""
        chains, draws, k = given.sd.shape
        chosen = np.asarray(levels, dtype=np.intp)
        at = self.coordinates
        # Where the rows' errors are known, their roots are the unit of the sums, and what is left of sigma is one.
        sigma = (np.ones((chains, draws)) if given.sigma is None else given.sigma).reshape(-1, 1) / at.scale
        root = _relative_root(given, self.z_scale / at.scale, sigma)  # T
        known = self._known(given)
        a, b = self.a[:, :, chosen], self.b[:, :, chosen]
        score = [known @ b[i] for i in range(k)]  # Z'(y - Xg - ...), each (draw, level)
        lower = cholesky(identity_plus_congruence(root, a))
        noise = np.stack(
            [self._noise(level, chains * draws, k) for level in chosen], axis=1
        )  # (draw, level, coef)
        white = solve_lower(lower, times_lower_transposed(root, score))
        white = [white[r] + sigma * noise[:, :, r] for r in range(k)]
        inner = solve_lower_transposed(lower, white)
        unit = at.scale / self.z_scale
        out = [unit[i] * sum(root[i][r] * inner[r] for r in range(i + 1)) for i in range(k)]
        return np.stack(out, axis=-1).reshape(chains, draws, len(chosen), k)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Plain values and arrays, for storage."""
        scales = {f"other_scales/{i}": scale for i, scale in enumerate(self.other_scales)}
        return {"kind": "collapsed", "seed": self.seed, "others": len(scales)}, {
            "a": self.a,
            "b": self.b,
            "z_scale": self.z_scale,
            **scales,
        }

    def _known(self, given: Given) -> Float:
        """What the columns [X, y, others] are multiplied by to give what is left of y, (draw, column)."""
        at, draws = self.coordinates, given.sd.shape[0] * given.sd.shape[1]
        internal = np.linalg.solve(at.to_raw, given.population.reshape(draws, -1).T).T
        parts = [-(internal - at.ols) / at.scale, np.ones((draws, 1))]
        for deviations, z_scale in zip(given.others, self.other_scales, strict=True):
            unit = deviations * (z_scale / at.scale)
            parts.append(-np.swapaxes(unit, -1, -2).reshape(draws, -1))
        return np.concatenate(parts, axis=1)

    def _noise(self, level: int, draws: int, k: int) -> Float:
        return stream(self.seed, "effects", self.factor, *self.labels[level]).standard_normal((draws, k))


def draw_new_level(given: Given, factor: str, label: Level, seed: int) -> Float:
    """Deviations (chain, draw, coef) of a level that the fit has not seen: one normal draw per posterior draw.

    The same seed and label give the same draws, whatever else is predicted beside it.
    """
    root = given.correlation_root * given.sd[..., None]
    noise = stream(seed, "new level", factor, *label).standard_normal(given.sd.shape)
    return np.asarray(np.einsum("cdij,cdj->cdi", root, noise))


def _relative_root(given: Given, unit: Float, sigma: Float) -> Matrix:
    """chol(Phi) / sigma in internal units, each entry (draw, 1)."""
    k = given.sd.shape[-1]
    sd = given.sd.reshape(-1, k) * unit
    root = given.correlation_root.reshape(-1, k, k) * sd[:, :, None] / sigma[:, :, None]
    return [[root[:, i, j, None] for j in range(k)] for i in range(k)]
