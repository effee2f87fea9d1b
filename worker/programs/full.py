"""The full model as one NumPyro program over arrays, and its compiled walk by NUTS in chunks.

The program is the same for every formula: structures differ in shape, priors and data in numbers alone.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from numpyro.distributions import constraints
from numpyro.infer import NUTS

from worker.programs.hyper import constrain
from worker.shape import FactorShape, FullShape

CHUNK = 50
"""Transitions of one call: between two calls progress is told, a cancel is heard, and the chain's state is at hand."""

Data = Mapping[str, Any]


class Prior(dist.Distribution):  # type: ignore[misc]  # NumPyro has no types
    """Scalar parameters on the real line, where their transforms and their prior densities are data."""

    support = constraints.real_vector
    pytree_data_fields = ("scalars",)

    def __init__(self, scalars: dict[str, Array]) -> None:
        self.scalars = scalars
        super().__init__(event_shape=jnp.shape(scalars["unit"]))

    def log_prob(self, value: Array) -> Array:
        """Log prior density of the parameters, per unit of the real line."""
        return constrain(value, self.scalars)[1]

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Standard normal numbers: a place to trace the program from, not a draw of the prior."""
        return jax.random.normal(key, sample_shape + self.event_shape)


def model(shape: FullShape, data: Data) -> None:
    """A generalized linear mixed model whose group-level effects are jointly multivariate normal."""
    # The sampler walks coefficients of standardized columns; the prior is told of what they mean.
    raw = numpyro.sample("coefficients", dist.ImproperUniform(constraints.real_vector, (), (shape.columns,)))
    population, log_prior = constrain(data["to_prior"] @ raw, data["coefficients"])
    numpyro.factor("coefficients_prior", log_prior)
    numpyro.deterministic("population", population)
    eta = data["offset"] + data["x"] @ population
    for number, factor in enumerate(shape.factors):
        eta = eta + _group_effects(f"{number}", factor, data["factors"][number])
    parameters = _scalars("parameters", data["parameters"], shape.scalars)
    with numpyro.handlers.scale(scale=data["weight"]):
        numpyro.sample("y", _likelihood(shape, eta, parameters, data), obs=data["y"])


def _group_effects(name: str, factor: FactorShape, data: Data) -> Array:
    """Sample one factor's sds, correlations and deviations; gives z'u (row,)."""
    k = factor.coefficients
    sd = _scalars(f"{name}/sd", data["sd"], k)
    root = jnp.eye(k)
    start = 0
    for number, size in enumerate(factor.blocks):
        if size > 1:
            block = numpyro.sample(f"{name}/root{number}", dist.LKJCholesky(size, data["lkj"]))
            root = root.at[start : start + size, start : start + size].set(block)
        start += size
    numpyro.deterministic(f"{name}/root", root)
    scaled = sd[:, None] * root
    if factor.centered:
        deviations = (
            dist.MultivariateNormal(jnp.zeros(k), scale_tril=scaled).expand([factor.levels]).to_event(1)
        )
        u = numpyro.sample(f"{name}/u_centered", deviations)
    else:
        u = (
            numpyro.sample(f"{name}/white", dist.Normal(0, 1).expand([factor.levels, k]).to_event(2))
            @ scaled.T
        )
    numpyro.deterministic(f"{name}/u", u)
    return jnp.sum(data["z"] * u[data["index"]], axis=-1)


def _scalars(name: str, scalars: dict[str, Array], size: int) -> Array:
    if size == 0:
        return jnp.zeros(0)
    values, _ = constrain(numpyro.sample(f"{name}_real", Prior(scalars)), scalars)
    numpyro.deterministic(name, values)
    return values


def _likelihood(shape: FullShape, eta: Array, parameters: Array, data: Data) -> dist.Distribution:
    match shape.family:
        case "gaussian":
            known_error = shape.scalars == 0
            return dist.Normal(eta, data["standard_error"] if known_error else parameters[0])
        case _:
            raise ValueError(shape.family)


def initialize(shape: FullShape, key: Array, start: dict[str, Array], settings: Data, data: Data) -> Any:
    """The sampler's state at a starting point, before the first transition."""
    kernel = _kernel(shape, settings)
    return kernel.init(key, shape.warmup, init_params=start, model_args=(shape, data))


def advance(
    shape: FullShape, state: Any, settings: Data, data: Data
) -> tuple[Any, dict[str, Array], dict[str, Array]]:
    """Make CHUNK transitions of one chain; gives the new state, the draws by name and the sampler's statistics,
    (CHUNK, ...)."""
    kernel = _kernel(shape, settings)
    # The kernel builds its functions from a first state; of that state nothing is used, so nothing of it is compiled.
    kernel.init(jax.random.PRNGKey(0), shape.warmup, init_params=state.z, model_args=(shape, data))

    def step(at: Any, _: None) -> tuple[Any, tuple[Any, dict[str, Array]]]:
        new = kernel.sample(at, (shape, data), {})
        statistics = {
            "diverging": new.diverging,
            "steps": new.num_steps,
            "accept": new.accept_prob,
            "energy": new.energy,
        }
        return new, (new.z, statistics)

    state, (walked, statistics) = jax.lax.scan(step, state, None, length=CHUNK)
    named = jax.vmap(kernel.get_constrain_fn((shape, data), {}, return_deterministic=True))(walked)
    return state, {name: draws for name, draws in named.items() if name in reported(shape)}, statistics


def reported(shape: FullShape) -> tuple[str, ...]:
    """Names of the draws that are kept."""
    per_factor = [f"{number}/{name}" for number in range(len(shape.factors)) for name in ("sd", "root", "u")]
    return ("population", *per_factor, *(("parameters",) if shape.scalars else ()))


def _kernel(shape: FullShape, settings: Data) -> NUTS:
    return NUTS(
        model,
        target_accept_prob=settings["target_accept"],
        max_tree_depth=shape.max_tree_depth,
        init_strategy=numpyro.infer.init_to_sample,
    )
