"""Chains side by side through the full model by NumPyro's NUTS, in compiled chunks of transitions.

A chunk's length is data, so that whoever calls can keep the time between two calls short.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from numpyro.infer.hmc import hmc

from worker.programs.full import Data, log_density
from worker.shape import FullShape

CHUNK = 50
"""The most transitions of one call."""

Settings = Mapping[str, Any]


def initialize(shape: FullShape, keys: Array, start: dict[str, Array], settings: Settings, data: Data) -> Any:
    """The states of the chains at their starting points (chain, ...), before the first transition."""
    state = jax.vmap(lambda key, at: _begin(shape, key, at, settings, data)[0])(keys, start)
    adapted = state.adapt_state._replace(window_idx=state.adapt_state.window_idx[0])
    return state._replace(i=state.i[0], adapt_state=adapted)


def advance(
    shape: FullShape, state: Any, count: Array, settings: Settings, data: Data
) -> tuple[Any, dict[str, Array], dict[str, Array]]:
    """Make `count` transitions of every chain, at most CHUNK.

    Gives the new states, the parameters by name and the sampler's statistics, each (CHUNK, chain, ...) with `count`
    rows that are used.
    """
    # The kernel builds its functions from a first state; of that state nothing is used, so nothing of it is compiled.
    first = jax.tree.map(lambda values: values[0], state.z)
    _, transition = _begin(shape, jax.random.PRNGKey(0), first, settings, data)
    # All chains have made as many transitions: were that count one per chain, each would take every branch of the
    # adaptation at every transition.
    axes = jax.tree.map(lambda _: 0, state)
    axes = axes._replace(i=None, adapt_state=axes.adapt_state._replace(window_idx=None))
    step = jax.vmap(transition, in_axes=(axes,), out_axes=axes)

    def body(number: Array, carried: tuple[Any, dict[str, Array], dict[str, Array]]) -> Any:
        at, walked, statistics = carried
        new = _keeping_noise(step(at), settings["learned"])
        told = {
            "diverging": new.diverging,
            "steps": new.num_steps,
            "accept": new.accept_prob,
            "energy": new.energy,
        }
        return (
            new,
            {name: walked[name].at[number].set(values) for name, values in new.z.items()},
            {name: statistics[name].at[number].set(values) for name, values in told.items()},
        )

    def room(values: Array) -> Array:
        return jnp.zeros((CHUNK, *values.shape), values.dtype)

    told = {"diverging": state.diverging, "steps": state.num_steps, "accept": state.accept_prob}
    begun = (state, jax.tree.map(room, state.z), jax.tree.map(room, {**told, "energy": state.energy}))
    state, walked, statistics = jax.lax.fori_loop(0, count, body, begun)
    named = jax.vmap(jax.vmap(lambda position: log_density(shape, position, data)[1]))(walked)
    return state, named, statistics


def _keeping_noise(state: Any, learned: Array) -> Any:
    """The mass of the white noise stays one: its variances are one already, and what a warm-up finds is scatter."""
    adapted = state.adapt_state
    names = ("inverse_mass_matrix", "mass_matrix_sqrt", "mass_matrix_sqrt_inv")
    kept = {name: jnp.where(learned, getattr(adapted, name), 1.0) for name in names}
    return state._replace(adapt_state=adapted._replace(**kept))


def _begin(
    shape: FullShape, key: Array, start: Mapping[str, Array], settings: Settings, data: Data
) -> tuple[Any, Any]:
    """A chain's first state, and the function that makes one transition."""
    potential = jax.jit(lambda position: -log_density(shape, position, data)[0])
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
