"""A collapsed fit whose hyperparameters NUTS walks: the fall-back of the independence sampler.

Coefficients and group-level effects stay integrated out; they are drawn exactly given each draw.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from model.frame.design import Design, Float
from model.results.posterior import Posterior
from model.spec import FitPlan
from model.streams import stream
from worker import collapsed, nuts
from worker.batch import batches, rows
from worker.compiled import handed_over
from worker.monitor import Monitor
from worker.padding import CollapsedProblem
from worker.samplers.independence import Chains
from worker.theta_problem import theta_problem


def fit(
    problem: CollapsedProblem,
    failed: Chains,
    evaluate: Callable[..., Any],
    plan: FitPlan,
    design: Design,
    monitor: Monitor,
) -> Posterior:
    """Sample where the independence sampler failed; stopped by the monitor it has fewer draws than the plan asks for.

    `evaluate` is the executable of the problem's shape. Raises Cancelled when it is stopped before every chain has a
    draw, and InvalidModel (`sampling-failed`) where the density has no number at a start.
    """
    walked = theta_problem(problem, failed, plan, nuts.side_by_side(plan))
    draws, statistics = nuts.walk(walked, plan, monitor)
    theta = draws["theta"][:, :, problem.active]
    told = {
        **nuts.statistics(plan, statistics),
        "evaluations": failed.evaluations + theta.shape[0] * theta.shape[1],
        # They are what the proposal's weights say, and those were found unfit.
        "pareto_k": None,
        "log_marginal_likelihood": None,
    }
    return collapsed.posterior(problem, _drawn(problem, theta, evaluate, plan.seed), plan, design, told)


def _drawn(problem: CollapsedProblem, theta: Float, evaluate: Callable[..., Any], seed: int) -> Float:
    """What is drawn exactly (drawn, chain, draw) given hyperparameters (chain, draw, dim)."""
    chains, draws, dim = theta.shape
    carried = len(problem.carried)
    noise = np.concatenate(
        [stream(seed, "coefficients", chain).standard_normal((draws, carried)) for chain in range(chains)]
    )
    own, data = rows(problem), handed_over(problem.data)
    drawn = np.empty((len(own), chains * draws))
    for batch, part in batches(problem, theta.reshape(-1, dim), problem.shape.batch):
        count, normal = part.stop - part.start, np.zeros((problem.shape.carried, problem.shape.batch))
        normal[problem.carried, :count] = noise[part].T
        drawn[:, part] = np.asarray(evaluate(batch, normal, np.array(count), data)[1])[own, :count]
    return drawn.reshape(-1, chains, draws)
