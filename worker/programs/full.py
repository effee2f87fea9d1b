"""The full model of any family as one log density over arrays: a program depends on sizes, never on a formula.

The deviations of each level are sampled as standard normal numbers and moved and scaled by their conditional normal
distribution under a gaussian response of the same curvature. That is exact whatever the response (the density has the
change of variables in it), and leaves neither funnel nor ridge, however much or little the data say about a level.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from model.small import cholesky, identity_plus_congruence, solve_lower, solve_lower_transposed
from model.small import times_lower_transposed as times_transposed
from worker.programs.centered import users_sds
from worker.programs.hyper import constrain, correlation_root
from worker.programs.likelihood import log_kernel
from worker.shape import FullShape, GroupShape

Data = Mapping[str, Any]
Position = Mapping[str, Array]


def sites(shape: FullShape) -> dict[str, tuple[int, ...]]:
    """The shapes of what is sampled, by name, in the order in which they stand in one vector."""
    found: dict[str, tuple[int, ...]] = {
        "coefficients": (shape.columns,),
        "real": (shape.scalars + sum(factor.coefficients for factor in shape.factors),),
    }
    for number, factor in enumerate(shape.factors):
        found[f"{number}/partial"] = (factor.correlations,)
        found[f"{number}/white"] = (factor.coefficients, factor.levels)
    return found


def position(shape: FullShape, vector: Array) -> dict[str, Array]:
    """What is sampled by name, from one vector (coordinate,)."""
    named, start = {}, 0
    for name, size in sites(shape).items():
        named[name] = vector[start : start + math.prod(size)].reshape(size)
        start += math.prod(size)
    return named


def log_density(shape: FullShape, position: Position, data: Data) -> tuple[Array, dict[str, Array]]:
    """Log posterior density at a position on the real line, and the parameters there by name.

    `population` (coef,); for factor f `f/sd` (coef,), `f/root` (coef, coef), `f/u` (level, coef), all of centered
    deviations; `parameters`.
    """
    # The sampler walks standardized coefficients; the prior is told of what they mean.
    real = jnp.concatenate([data["to_prior"] @ position["coefficients"], position["real"]])
    roots = [
        correlation_root(position[f"{number}/partial"], factor.blocks, data["factors"][number]["lkj"])
        for number, factor in enumerate(shape.factors)
    ]
    correlated = any(factor.correlations for factor in shape.factors)
    judged = partial(_judged, shape, [root for root, _ in roots], data) if correlated else None
    values, log_prior = constrain(real, data["scalars"], judged)
    total = log_prior + data["log_base"]
    population, parameters, *sds = jnp.split(values, shape.scalar_ends)
    named = {"population": population, "parameters": parameters}
    precision = parameters[0] ** -2.0 if shape.has_sigma else jnp.ones(())
    grouped = jnp.zeros(shape.rows)
    for number, (factor, sd) in enumerate(zip(shape.factors, sds, strict=True)):
        of = data["factors"][number]
        root, log_root = roots[number]
        score = of["score"] - of["projection"] @ population
        if number:
            earlier = of["weighted_z"] * grouped
            score -= jax.ops.segment_sum(earlier.T, of["index"], factor.levels).T
        u, log_white = _deviations(
            factor, sd, root, precision * of["information"], precision * score, position[f"{number}/white"]
        )
        # Without it XLA computes a level's deviations again for each of its rows.
        u = jax.lax.optimization_barrier(u)
        total += log_root + log_white
        grouped += sum(part * own[of["index"]] for part, own in zip(of["z"], u, strict=True))
        named |= {f"{number}/sd": sd, f"{number}/u": jnp.stack(u, axis=-1), f"{number}/root": jnp.array(root)}
    eta = data["offset"] + population @ data["x"] + grouped
    log_likelihood = log_kernel(
        shape.family, shape.link, eta, parameters, data["y"], data["trials"], data["standard_error"]
    )
    return total + jnp.sum(data["weight"] * log_likelihood), named


def _judged(shape: FullShape, roots: list[list[list[Any]]], data: Data, values: Array) -> tuple[Array, Array]:
    """The scalars that priors are of (scalar,): sds in the user's coordinates, and all else as it is."""
    before, log_slope = shape.scalar_ends[1], jnp.zeros(())
    found, start = [values[:before]], before
    for factor, root, of in zip(shape.factors, roots, data["factors"], strict=True):
        own = values[start : start + factor.coefficients]
        users, log_own = users_sds(own, root, factor.blocks, of["lkj"][0], of["users_sds"])
        found.append(users)
        log_slope += log_own
        start += factor.coefficients
    return jnp.concatenate(found), log_slope


def _deviations(
    factor: GroupShape,
    sd: Array,
    correlation: list[list[Array | float]],
    information: Array,
    score: Array,
    white: Array,
) -> tuple[list[Array], Array]:
    """Deviations u (level,) by coefficient from white noise (coef, level), and the log density of the noise.

    With T = chol(Phi), u = T v, A the information (coef, coef, level) and s the score (coef, level) of u, the v of a
    level is normal given all else with precision I + T'AT = CC' and mean C'^-1 C^-1 T's, hence v = C'^-1 (C^-1 T's +
    white). Levels without rows keep v = white.
    """
    k = factor.coefficients
    root = [[sd[i] * correlation[i][j] for j in range(k)] for i in range(k)]
    lower = cholesky(identity_plus_congruence(root, information), jnp.sqrt)
    moved = solve_lower(lower, times_transposed(root, list(score)))
    v = solve_lower_transposed(lower, [moved[i] + white[i] for i in range(k)])
    u = [sum(root[i][j] * v[j] for j in range(i + 1)) for i in range(k)]
    log_slope = sum(jnp.log(jnp.broadcast_to(lower[i][i], white[i].shape)) for i in range(k))
    return u, -0.5 * sum(jnp.sum(part**2) for part in v) - jnp.sum(log_slope)
