"""From a collapsed problem and a walk that failed to what NUTS walks: standardized hyperparameters.

The failed walk still knows a center, a scatter, and points of about the right weight.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jax import Array

from model.frame.design import Float
from model.spec import FitPlan
from worker.coordinates import Coordinates
from worker.padding import CollapsedProblem
from worker.programs import theta as program
from worker.programs.hyper import Transform
from worker.programs.theta import Walked
from worker.samplers.independence import Chains
from worker.shape import ThetaShape

_ROUND = 300
"""Transitions of a round of warm-up."""


@dataclass(frozen=True)
class ThetaProblem:
    """The hyperparameters of a collapsed model, ready for NUTS."""

    shape: ThetaShape
    data: dict[str, Any]
    coordinates: Coordinates
    starts: Float
    """Where the chains start, (chain, hyper)."""

    def log_density(self, vector: Array, data: Any) -> tuple[Array, dict[str, Array]]:
        """Log density at one vector (hyper,), and theta there by name."""
        return program.log_density(self.shape.collapsed, vector, data)

    def start(self, seed: int, chain: int) -> Float:
        """A starting point of its own for each chain: where the one that failed ended."""
        return np.asarray(self.starts[chain % len(self.starts)])


def theta_problem(problem: CollapsedProblem, failed: Chains, plan: FitPlan, chains: int) -> ThetaProblem:
    """Standardize the hyperparameters by the scatter of what was proposed; `chains` move side by side.

    Constants and padding rest.
    """
    active, size = problem.active, len(problem.active)
    walked, end = _walked(problem), np.where(np.isfinite(problem.upper), problem.upper, 1.0)
    own = np.ix_(active, active)
    mean = failed.theta.mean(axis=(0, 1))
    slope = _slope(walked[active], end[active], mean)
    scatter = slope[:, None] * (failed.proposal.root @ failed.proposal.root.T) * slope
    # The other images have correlations of the other sign, so such a coordinate is standardized by itself.
    images = walked[active] == Walked.IMAGES
    together = ~(images[:, None] | images) | np.eye(len(mean), dtype=bool)
    root, center, starts = np.zeros((size, size)), problem.start.copy(), np.zeros((len(failed.theta), size))
    root[own] = _rounded(np.linalg.cholesky(np.where(together, scatter, 0.0)))
    scale = np.diagonal(root[own])
    center[active] = scale * np.round(_along(walked[active], end[active], mean) / scale, 2)
    away = _along(walked[active], end[active], failed.theta[:, -1]) - center[active]
    starts[:, active] = np.round(np.linalg.solve(root[own], away.T).T, 3)
    return ThetaProblem(
        shape=ThetaShape(
            problem.shape, chains, min(plan.sampler.warmup, _ROUND), plan.sampler.max_tree_depth
        ),
        data={"collapsed": problem.data, "center": center, "root": root, "walked": walked, "end": end},
        coordinates=Coordinates(
            center=np.zeros(size),
            variances=np.ones(size),
            learned=np.ones(size, dtype=bool),
            streams=np.where(active, np.cumsum(active) - 1, -1),
        ),
        starts=starts,
    )


def _walked(problem: CollapsedProblem) -> np.ndarray:
    """What is walked of each hyperparameter (hyper,)."""
    walked = np.full(len(problem.active), Walked.ITSELF)
    walked[np.isfinite(problem.lower)] = Walked.IMAGES
    transforms = problem.data["scalars"]["transform"]
    walked[: len(transforms)][transforms == Transform.CUBE] = Walked.LOGARITHM
    walked[np.isfinite(problem.upper)] = Walked.LOGIT
    return walked


def _along(walked: np.ndarray, end: Float, theta: Float) -> Float:
    """What is walked, (..., dim), at hyperparameters between their walls."""
    inside = np.where(walked >= Walked.LOGARITHM, theta, 0.5)
    rest = np.where(walked == Walked.LOGIT, end - inside, 1.0)
    return np.where(walked >= Walked.LOGARITHM, np.log(inside / rest), theta)


def _slope(walked: np.ndarray, end: Float, theta: Float) -> Float:
    """How much what is walked changes with theta (dim,)."""
    bounded = np.where(walked == Walked.LOGIT, end / (theta * (end - theta)), 1.0)
    return np.where(walked == Walked.LOGARITHM, 1.0 / theta, bounded)


def _rounded(values: Float) -> Float:
    """Numbers to about three digits: with those of another padding the walk is then the same, and stays so."""
    size = np.abs(values)
    return np.sign(values) * np.exp2(np.round(512.0 * np.log2(np.where(size > 0, size, 1.0))) / 512.0)
