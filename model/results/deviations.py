"""Draws of group-level deviations, level by level: those that were sampled, those that are drawn on request, and those
of levels that a fit has not seen.

A level's draws are (coef, draw) here, those of all chains one after the other, side by side in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.frame.design import Float, Level
from model.small import (
    Matrix,
    cholesky,
    identity_plus_congruence,
    solve_lower,
    solve_lower_transposed,
    times_lower_transposed,
)
from model.streams import stream

_AT_ONCE = 1 << 16
"""Levels times draws of one step: its arrays stay in the processor's caches."""


class Deviations(Protocol):
    """The deviations of the levels of one factor, given the draws of everything else."""

    def draw(self, levels: Sequence[int]) -> Sequence[Float]:
        """Draws (coef, draw) of each level with these numbers, in the user's units."""
        ...

    def means(self, most: int) -> Float:
        """Posterior means (level, coef) of all levels, computed from at most about `most` numbers."""
        ...


@dataclass(frozen=True, slots=True)
class SampledDeviations:
    """Deviations that were sampled together with everything else."""

    values: Float  # (level, coef, draw)

    def draw(self, levels: Sequence[int]) -> Sequence[Float]:
        """Draws (coef, draw) of each level with these numbers."""
        return [self.values[level] for level in levels]

    def means(self, most: int) -> Float:
        """Means (level, coef) of all draws: they only have to be read."""
        return np.asarray(self.values.mean(axis=2))


@dataclass(frozen=True, slots=True)
class ConditionalDeviations:
    """Deviations of the collapsed gaussian model, normal and independent from level to level given everything else.

    With T = chol(Phi) / sigma, M = I + T'AT = CC': u | g ~ Normal(T M^-1 T'(B_y - B_x g), sigma^2 T M^-1 T'), where
    the other factors' columns stand beside those of x. All but `to_user` is in internal coordinates.
    """

    factor: str
    labels: tuple[Level, ...]
    seed: int
    a: Float  # (coef, coef, level)
    b: Float  # (coef, column, level)
    root: Float  # T (coef, coef, draw)
    sigma: Float  # (draw,)
    known: Float  # (column, draw), what the columns are multiplied by to give what is left of y
    to_user: Float  # (coef, coef), upper triangular, from internal deviations to the user's

    def draw(self, levels: Sequence[int]) -> Sequence[Float]:
        """Draws (coef, draw) of each level with these numbers, the same whatever is asked for beside it."""
        chosen = np.asarray(levels, dtype=np.intp)
        k, draws = self.root.shape[1:]
        out = np.empty((len(chosen), k, draws))
        step = max(1, _AT_ONCE // draws)
        for start in range(0, len(chosen), step):
            part = chosen[start : start + step]
            lower, white = self._white_means(part)
            noise = np.stack([self._noise(level) for level in part], axis=1)
            self._color(lower, white + self.sigma * noise, out[start : start + step])
        return list(out)

    def means(self, most: int) -> Float:
        """Means (level, coef) over draws of the conditional means, which have no part in the noise of a level's draws.

        They are taken over evenly spaced draws, so many that they keep to `most` numbers.
        """
        count, (k, draws) = len(self.labels), self.root.shape[1:]
        spaced = slice(None, None, max(1, -(-count * k * draws // most)))
        some = replace(
            self, root=self.root[:, :, spaced], sigma=self.sigma[spaced], known=self.known[:, spaced].copy()
        )
        draws = len(some.sigma)
        out = np.empty((count, k))
        step = max(1, _AT_ONCE // draws)
        for start in range(0, count, step):
            part = np.arange(start, min(start + step, count))
            means = np.empty((len(part), k, draws))
            some._color(*some._white_means(part), means)
            out[part] = means.mean(axis=2)
        return out

    def _white_means(self, levels: NDArray[np.intp]) -> tuple[Matrix, Float]:
        """C of each level and draw, and C^-1 T'(B_y - B_x g), (coef, level, draw)."""
        root = list(map(list, self.root))
        lower = cholesky(identity_plus_congruence(root, self.a[:, :, levels, None]))
        score = [columns.T @ self.known for columns in self.b[:, :, levels]]
        return lower, np.stack(solve_lower(lower, times_lower_transposed(root, score)))

    def _color(self, lower: Matrix, white: Float, out: Float) -> None:
        """T C'^-1 times `white` (coef, level, draw), as the user's deviations, into `out` (level, coef, draw)."""
        inner = solve_lower_transposed(lower, list(white))
        for i, row in enumerate(self.root):
            own = sum(row[r] * inner[r] for r in range(i + 1))
            out[:, i] = self.to_user[i, i] * own
            for earlier in np.flatnonzero(self.to_user[:i, i]):
                out[:, earlier] += self.to_user[earlier, i] * own

    def _noise(self, level: int) -> Float:
        source = stream(self.seed, "effects", self.factor, *self.labels[level])
        return source.standard_normal(self.root.shape[1:])


@dataclass(frozen=True, slots=True)
class NewDeviations:
    """Deviations of levels that a fit has not seen: Normal(0, Phi) of each draw."""

    factor: str
    root: Float  # chol(Phi) (coef, coef, draw), in the user's units

    def draw(self, label: Level, seed: int) -> Float:
        """Draws (coef, draw) of one level; the same seed and label give the same, whatever else is predicted."""
        noise = stream(seed, "new level", self.factor, *label).standard_normal(self.root.shape[1:])
        out = np.empty_like(noise)
        for i, row in enumerate(self.root):
            out[i] = sum(row[j] * noise[j] for j in range(i + 1))
        return out
