"""The methods that are calibrated, each as a function from a plan and its data to a posterior."""

from model.design import Design
from model.posterior import Posterior
from model.spec import FitPlan
from tests.worker.silent import Silent
from worker import collapsed
from worker.padding import collapsed_problem


def by_collapsing(plan: FitPlan, design: Design) -> Posterior:
    """The collapsed method by itself: draws that fail their self-check are kept, so that ranks are of all data."""
    problem = collapsed_problem(plan, design)
    compiled = collapsed.programs(problem.shape, problem.data)
    chains = collapsed.sample(problem, compiled, plan, Silent())
    return collapsed.posterior(problem, compiled, chains, plan, design)
