"""Chains side by side through a log density of one vector by NumPyro's NUTS, in compiled chunks of transitions.

A chunk's length is data, so that whoever calls can keep the time between two calls short.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from numpyro.infer.hmc import hmc

from worker.shape import FullShape, ThetaShape

CHUNK = 50
"""The most transitions of one call."""

Data = Mapping[str, Any]
Density = Callable[[Array, Data], tuple[Array, dict[str, Array]]]
"""Log density at one vector (coordinate,), and the parameters there by name."""
Shape = FullShape | ThetaShape

Settings = Mapping[str, Any]
"""`target_accept`, and what `worker.coordinates` says of each coordinate: `variances`, `learned`, `streams`."""


def initialize(
    density: Density, shape: Shape, keys: Array, start: Array, settings: Settings, data: Data
) -> Any:
    """The states of the chains at their starting points (chain, coordinate), before the first transition."""
    state = jax.vmap(lambda key, at: _begin(density, shape, key, at, settings, data)[0])(keys, start)
    adapted = state.adapt_state._replace(window_idx=state.adapt_state.window_idx[0])
    return state._replace(i=state.i[0], adapt_state=adapted)


def advance(
    density: Density, shape: Shape, state: Any, count: Array, settings: Settings, data: Data
) -> tuple[Any, dict[str, Array], dict[str, Array]]:
    """Make `count` transitions of every chain, at most CHUNK.

    Gives the new states, the parameters by name and the sampler's statistics, each (CHUNK, chain, ...) with `count`
    rows that are used.
    """
    # The kernel builds its functions from a first state; of that state nothing is used, so nothing of it is compiled.
    _, transition = _begin(density, shape, jax.random.PRNGKey(0), state.z[0], settings, data)
    # All chains have made as many transitions: were that count one per chain, each would take every branch of the
    # adaptation at every transition.
    axes = jax.tree.map(lambda _: 0, state)
    axes = axes._replace(i=None, adapt_state=axes.adapt_state._replace(window_idx=None))

    def move(chain: Any) -> Any:
        key, own = jax.random.split(chain.rng_key)
        momentum = chain.adapt_state.mass_matrix_sqrt * _noise(own, settings["streams"])
        return transition(chain._replace(r=momentum, rng_key=key))._replace(r=None)

    step = jax.vmap(move, in_axes=(axes,), out_axes=axes)

    def body(number: Array, carried: tuple[Any, Array, dict[str, Array]]) -> Any:
        at, walked, statistics = carried
        new = _settled(step(at), settings["learned"])
        told = {name: statistics[name].at[number].set(values) for name, values in _told(new).items()}
        return new, walked.at[number].set(new.z), told

    def room(values: Array) -> Array:
        return jnp.zeros((CHUNK, *values.shape), values.dtype)

    begun = (state, room(state.z), jax.tree.map(room, _told(state)))
    state, walked, statistics = jax.lax.fori_loop(0, count, body, begun)
    named = jax.vmap(jax.vmap(lambda at: density(at, data)[1]))(walked)
    return state, named, statistics


def _told(state: Any) -> dict[str, Array]:
    """The sampler's statistics (chain,) of the last transition."""
    return {
        "diverging": state.diverging,
        "steps": state.num_steps,
        "accept": state.accept_prob,
        "energy": state.energy,
    }


def _noise(key: Array, streams: Array) -> Array:
    """Standard normal noise (coordinate,); each coordinate's depends on its own number alone, not on how many there
    are, and one that rests has none."""
    return jnp.where(streams < 0, 0.0, jax.random.normal(key, streams.shape)[streams])


def _settled(state: Any, learned: Array) -> Any:
    """The state with what it adapts in round numbers, and the mass of the white noise one, as its variances are.

    A step size answers to how well the steps before it did. Were it not rounded, an error in the last bit of a sum, as
    another order or padding of rows brings along, would grow in that loop until all digits differ.
    """
    adapted = state.adapt_state
    root = jnp.where(learned, _rounded(adapted.mass_matrix_sqrt_inv), 1.0)
    return state._replace(
        adapt_state=adapted._replace(
            step_size=_rounded(adapted.step_size),
            inverse_mass_matrix=root**2,
            mass_matrix_sqrt=1.0 / root,
            mass_matrix_sqrt_inv=root,
        )
    )


def _rounded(values: Array) -> Array:
    """Positive numbers to about three digits."""
    return jnp.exp2(jnp.round(512.0 * jnp.log2(values)) / 512.0)


def _begin(
    density: Density, shape: Shape, key: Array, start: Array, settings: Settings, data: Data
) -> tuple[Any, Any]:
    """A chain's first state, and the function that makes one transition."""
    potential = jax.jit(lambda vector: -density(vector, data)[0])
    begin, transition = hmc(potential, algo="NUTS")
    state = begin(
        start,
        shape.warmup,
        inverse_mass_matrix=settings["variances"],
        target_accept_prob=settings["target_accept"],
        max_tree_depth=shape.max_tree_depth,
        rng_key=key,
    )
    return state, transition
