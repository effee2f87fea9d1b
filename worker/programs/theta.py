"""The collapsed density of standardized hyperparameters, one vector at a time, as NUTS walks it.

NUTS knows no walls. Where there is one below, it walks the whole line, on which the density is its own mirror image,
and each point stands for the one above the wall that it is an image of.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from worker.programs import collapsed
from worker.shape import CollapsedShape

Data = Mapping[str, Any]


class Walked(IntEnum):
    """What of a hyperparameter t is standardized and walked."""

    ITSELF = 0
    IMAGES = 1
    """t, or -t: one with a wall at zero."""
    LOGARITHM = 2
    """log t: one whose density vanishes at its wall at zero, so steeply that a step across would go astray."""
    LOGIT = 3
    """log t / (end - t): one between two walls, among whose images there is no way to turn."""


def log_density(shape: CollapsedShape, standardized: Array, data: Data) -> tuple[Array, dict[str, Array]]:
    """Log density of `standardized` (hyper,), and the hyperparameters `theta` (hyper,) that it stands for."""
    at, walked, end = data["center"] + data["root"] @ standardized, data["walked"], data["end"]
    logarithm, logit = walked == Walked.LOGARITHM, walked == Walked.LOGIT
    inside = jnp.where(logit, at, 0.0)
    power = jnp.exp(jnp.where(logarithm, at, 0.0))
    theta = jnp.where(logit, end * jax.nn.sigmoid(inside), jnp.where(logarithm, power, at))
    slope = jnp.log(end) + jax.nn.log_sigmoid(inside) + jax.nn.log_sigmoid(-inside)
    log_slope = jnp.sum(jnp.where(logit, slope, jnp.where(logarithm, at, 0.0)))
    log_density = collapsed.log_density(shape, theta, data["collapsed"]) + log_slope
    return log_density, {"theta": jnp.where(walked == Walked.IMAGES, jnp.abs(theta), theta)}
