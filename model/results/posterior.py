"""A posterior: draws by name in one fixed layout, (chain, draw, ...), and what is needed to ask things of it.

It carries the encoding of its training data, so predictions need nothing else; group-level deviations come from
`effects`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from model.family import Family
from model.frame.design import Float
from model.frame.encoding import Encoding
from model.moments import Coordinates
from model.results.deviations import NewDeviations
from model.results.effects import (
    REMEMBERED_BYTES,
    CollapsedEffects,
    Effects,
    Given,
    StoredEffects,
    new_deviations,
)
from model.results.factor_levels import FactorLevels


@dataclass(frozen=True, slots=True)
class FactorPosterior:
    """One grouping factor: the distribution of its deviations, and the deviations."""

    sd: Float  # (chain, draw, coef)
    correlation_root: Float  # (chain, draw, coef, coef), lower Cholesky factor of the correlation matrix
    z_moment: Float  # (coef, coef), mean over the training rows of z z'
    effects: Effects

    @property
    def correlation(self) -> Float:
        """Correlation matrices (chain, draw, coef, coef)."""
        root = np.moveaxis(self.correlation_root, (2, 3), (0, 1))
        product = np.empty_like(root)
        # Elementwise over the draws: thousands of products of matrices, each by itself, take ten times as long.
        for i in range(len(root)):
            for j in range(i + 1):
                product[i, j] = product[j, i] = sum(root[i, r] * root[j, r] for r in range(j + 1))
        return np.moveaxis(product, (0, 1), (2, 3))

    @property
    def covariance(self) -> Float:
        """Phi (chain, draw, coef, coef), in the squared units of the response's link."""
        return self.correlation * self.sd[..., :, None] * self.sd[..., None, :]

    def choose(self, some: Callable[[Float], Float]) -> "FactorPosterior":
        """The draws that `some` takes of any (chain, draw, ...); effects on request are drawn for these alone."""
        effects = self.effects
        if isinstance(effects, StoredEffects):
            effects = StoredEffects(some(effects.values))
        return replace(self, sd=some(self.sd), correlation_root=some(self.correlation_root), effects=effects)


@dataclass(frozen=True)
class Posterior:
    """Draws of every parameter of a fitted model.

    `population` (chain, draw, coef) belongs to the raw columns of X; `parameters` are the family's own, each (chain,
    draw). `x_moments` are the mean (coef,) and covariance (coef, coef) of X's columns over the training rows.
    `statistics` are the sampler's own: divergences, acceptance, pareto_k, log_marginal_likelihood …, as it has them.
    """

    encoding: Encoding
    family: Family
    method: str
    seed: int
    population: Float
    parameters: Mapping[str, Float]
    factors: Mapping[str, FactorPosterior]
    x_mean: Float
    x_covariance: Float
    statistics: Mapping[str, float | int | None]

    @property
    def chains(self) -> int:
        """Number of chains."""
        return int(self.population.shape[0])

    @property
    def draws(self) -> int:
        """Number of draws of each chain."""
        return int(self.population.shape[1])

    def thinned(self, most: int) -> "Posterior":
        """Evenly spaced draws of every chain, about `most` in all; all of them where there are no more."""
        step = -(-self.chains * self.draws // most)
        return self if step == 1 else self._choose(lambda draws: draws[:, ::step])

    def spread(self, count: int) -> "Posterior":
        """So many draws, at most all, evenly spaced over the chains, as one chain."""
        total = self.chains * self.draws
        chosen = np.unravel_index(np.arange(count) * total // count, (self.chains, self.draws))
        return self._choose(lambda draws: draws[chosen][None])

    def _choose(self, some: Callable[[Float], Float]) -> "Posterior":
        return replace(
            self,
            population=some(self.population),
            parameters={name: some(draws) for name, draws in self.parameters.items()},
            factors={name: factor.choose(some) for name, factor in self.factors.items()},
        )

    def deviations(self, factor: str, levels: Sequence[int]) -> Float:
        """Deviations (chain, draw, level, coef) of the levels with these numbers of one factor, drawn on request."""
        k = self.factors[factor].sd.shape[-1]
        if not len(levels):
            return np.empty((self.chains, self.draws, 0, k))
        drawn = np.stack(self.levels[factor].draws(levels))
        return drawn.reshape(-1, k, self.chains, self.draws).transpose(2, 3, 0, 1)

    @cached_property
    def levels(self) -> Mapping[str, FactorLevels]:
        """For each factor its levels, with their draws."""
        return {
            factor.name: FactorLevels(
                factor.levels, self.factors[factor.name].effects.given(self.given(factor.name))
            )
            for factor in self.encoding.factors
        }

    @cached_property
    def new_levels(self) -> Mapping[str, NewDeviations]:
        """For each factor the deviations of levels that the fit has not seen."""
        return {name: new_deviations(name, self.given(name)) for name in self.factors}

    @property
    def working_bytes(self) -> int:
        """What answers may come to keep beside the draws, at most: drawn levels, and what they are drawn from."""
        draws, numbers = self.chains * self.draws, 0
        for of in self.factors.values():
            if isinstance(of.effects, CollapsedEffects):
                k, columns, levels = of.effects.b.shape
                numbers += min(k * levels * draws, REMEMBERED_BYTES // 8) + columns * draws
        return 8 * numbers

    def given(self, factor: str) -> Given:
        """What the deviations of one factor are conditioned on."""
        of = self.factors[factor]
        others: tuple[Float, ...] = ()
        if isinstance(of.effects, CollapsedEffects):
            stored = (other.effects for name, other in self.factors.items() if name != factor)
            others = tuple(effects.values for effects in stored if isinstance(effects, StoredEffects))
        return Given(self.population, of.sd, of.correlation_root, self.parameters.get("sigma"), others)

    @cached_property
    def level_numbers(self) -> Mapping[str, Mapping[tuple[Any, ...], int]]:
        """For each factor, the number of each level."""
        return {f.name: {level: i for i, level in enumerate(f.levels)} for f in self.encoding.factors}

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Plain values and arrays, for storage; `from_parts` is the inverse."""
        meta: dict[str, Any] = {
            "encoding": self.encoding.to_json(),
            "family": [self.family.name, self.family.link],
            "method": self.method,
            "seed": self.seed,
            "parameters": list(self.parameters),
            "statistics": dict(self.statistics),
            "effects": [],
        }
        arrays = {"population": self.population, "x_mean": self.x_mean, "x_covariance": self.x_covariance}
        arrays |= {f"parameters/{name}": draws for name, draws in self.parameters.items()}
        coordinates: Coordinates | None = None
        for number, of in enumerate(self.factors.values()):
            effects_meta, effects_arrays = of.effects.to_parts()
            meta["effects"].append(effects_meta)
            arrays[f"{number}/sd"], arrays[f"{number}/root"] = of.sd, of.correlation_root
            arrays[f"{number}/z_moment"] = of.z_moment
            arrays |= {f"{number}/effects/{name}": array for name, array in effects_arrays.items()}
            if isinstance(of.effects, CollapsedEffects):
                coordinates = of.effects.coordinates
        if coordinates is not None:
            meta["coordinates"] = {"scale": coordinates.scale, "intercept": coordinates.intercept}
            arrays |= {f"coordinates/{n}": getattr(coordinates, n) for n in ("means", "scales", "ols")}
        return meta, arrays

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> "Posterior":
        """Build a posterior from what `to_parts` gave."""
        encoding = Encoding.from_json(meta["encoding"])
        factors = {}
        for number, (structure, effects) in enumerate(zip(encoding.factors, meta["effects"], strict=True)):
            own = {n.removeprefix(f"{number}/"): a for n, a in arrays.items() if n.startswith(f"{number}/")}
            if effects["kind"] == "stored":
                drawn: Effects = StoredEffects.from_parts(own["effects/values"])
            else:
                at = {n: arrays[f"coordinates/{n}"] for n in ("means", "scales", "ols")}
                coordinates = Coordinates(**at, **meta["coordinates"], z_maps=())
                sums = {n: own[f"effects/{n}"] for n in ("a", "b")}
                drawn = CollapsedEffects(
                    structure.name,
                    structure.levels,
                    **sums,
                    z_map=_map(own, "z_map", "z_scale"),
                    other_maps=tuple(
                        _map(own, f"other_maps/{i}", f"other_scales/{i}") for i in range(effects["others"])
                    ),
                    coordinates=coordinates,
                    seed=effects["seed"],
                )
            factors[structure.name] = FactorPosterior(own["sd"], own["root"], own["z_moment"], drawn)
        return cls(
            encoding=encoding,
            family=Family(*meta["family"]),
            method=meta["method"],
            seed=meta["seed"],
            population=arrays["population"],
            parameters={name: arrays[f"parameters/{name}"] for name in meta["parameters"]},
            factors=factors,
            x_mean=arrays["x_mean"],
            x_covariance=arrays["x_covariance"],
            statistics=meta["statistics"],
        )


def _map(arrays: Mapping[str, Any], name: str, scale: str) -> Float:
    """The map of a factor's deviations; statistics version 5 kept the scales of its columns, and no more."""
    if f"effects/{name}" in arrays:
        return np.asarray(arrays[f"effects/{name}"])
    return np.diag(1.0 / np.asarray(arrays[f"effects/{scale}"]))
