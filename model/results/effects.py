"""What a fit keeps of group-level effects: the deviations that a sampler made itself, or the sums from which the
collapsed gaussian model draws those of any level on request.

Given everything else, deviations are independent from level to level.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from model.centering import internal_deviations, is_diagonal, lower_roots
from model.frame.design import Float, Level
from model.moments import Coordinates
from model.results.deviations import ConditionalDeviations, Deviations, NewDeviations, SampledDeviations
from model.results.remembered import Remembered

REMEMBERED_BYTES = 16 << 20
"""Draws of levels that are kept of each factor, at most."""


@dataclass(frozen=True, slots=True)
class Given:
    """What group-level deviations are conditioned on; dims (chain, draw, ...)."""

    population: Float  # (chain, draw, coef), of the raw columns
    sd: Float  # (chain, draw, coef)
    correlation_root: Float  # (chain, draw, coef, coef), lower Cholesky factor of the correlation matrix
    sigma: Float | None  # (chain, draw)
    others: tuple[Float, ...] = ()  # per other factor (chain, draw, level, coef): their deviations

    def root(self, to_user: Float) -> Float:
        """chol(Phi) (coef, coef, draw) of internal deviations, which the matrix (coef, coef) takes to the user's."""
        k = len(to_user)
        unit = np.diagonal(to_user)
        sd = self.sd.reshape(-1, k).T
        root = np.ascontiguousarray(self.correlation_root.reshape(-1, k, k).transpose(1, 2, 0))
        if is_diagonal(to_user):
            return np.asarray(root * (sd / unit[:, None])[:, None])
        internal = internal_deviations(root * sd[:, None], to_user)
        return np.asarray(np.moveaxis(lower_roots(np.moveaxis(internal, -1, 0)), 0, -1))


class Effects(Protocol):
    """What is kept of the deviations of one factor."""

    def given(self, given: Given) -> Deviations:
        """The deviations, given the draws of everything else."""
        ...

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Plain values and arrays, for storage."""
        ...


@dataclass(frozen=True, slots=True)
class StoredEffects:
    """Deviations that were sampled together with everything else."""

    values: Float  # (chain, draw, level, coef)

    def given(self, given: Given) -> Deviations:
        """The deviations themselves."""
        by_level = self._by_level()
        return SampledDeviations(by_level.reshape(*by_level.shape[:2], -1))

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Plain values and arrays, for storage; a level's draws lie side by side there."""
        return {"kind": "stored"}, {"values": self._by_level()}

    @classmethod
    def from_parts(cls, values: Float) -> "StoredEffects":
        """The inverse of `to_parts`; `values` are (level, coef, chain, draw)."""
        return cls(values.transpose(2, 3, 0, 1))

    def _by_level(self) -> Float:
        return np.ascontiguousarray(self.values.transpose(2, 3, 0, 1))


@dataclass(frozen=True, slots=True)
class CollapsedEffects:
    """The sums of each level in the collapsed gaussian model, in internal coordinates."""

    factor: str
    labels: tuple[Level, ...]
    a: Float  # (coef, coef, level)
    b: Float  # (coef, column, level); columns are [X, y, others] as in `moments`
    coordinates: Coordinates
    z_map: Float  # (coef, coef), as in `Coordinates`
    other_maps: tuple[Float, ...]  # per other factor (coef, coef)
    seed: int

    def given(self, given: Given) -> Deviations:
        """The deviations, drawn level by level when they are asked for."""
        at = self.coordinates
        to_user = at.scale * self.z_map
        # Where the rows' errors are known, their roots are the unit of the sums, and what is left of sigma is one.
        sigma = (np.ones(given.sd.shape[:2]) if given.sigma is None else given.sigma).ravel() / at.scale
        drawn = ConditionalDeviations(
            factor=self.factor,
            labels=self.labels,
            seed=self.seed,
            a=self.a,
            b=self.b,
            root=given.root(to_user) / sigma,
            sigma=sigma,
            known=self._known(given),
            to_user=to_user,
        )
        return Remembered(drawn, REMEMBERED_BYTES)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Plain values and arrays, for storage."""
        maps = {f"other_maps/{i}": matrix for i, matrix in enumerate(self.other_maps)}
        return {"kind": "collapsed", "seed": self.seed, "others": len(maps)}, {
            "a": self.a,
            "b": self.b,
            "z_map": self.z_map,
            **maps,
        }

    def _known(self, given: Given) -> Float:
        """What the columns [X, y, others] are multiplied by to give what is left of y, (column, draw)."""
        at, draws = self.coordinates, given.sd.shape[0] * given.sd.shape[1]
        internal = np.linalg.solve(at.to_raw, given.population.reshape(draws, -1).T)
        parts = [-(internal - at.ols[:, None]) / at.scale, np.ones((1, draws))]
        for deviations, matrix in zip(given.others, self.other_maps, strict=True):
            by_coef = internal_deviations(deviations.transpose(3, 2, 0, 1), at.scale * matrix)
            parts.append(-by_coef.reshape(-1, draws))
        return np.concatenate(parts)


def new_deviations(factor: str, given: Given) -> NewDeviations:
    """The deviations of levels that the fit has not seen."""
    return NewDeviations(factor, given.root(np.eye(given.sd.shape[-1])))
