"""How large a fit's result will be, known before anything is sampled."""

from model.spec import FitPlan

_FLOAT = 8


def result_bytes(plan: FitPlan) -> int:
    """Estimate the bytes of the draws that a fit will leave; level effects that can be drawn again are not kept."""
    parameters = plan.parameters
    if plan.method == "collapsed":
        parameters -= sum(len(factor.levels) * len(factor.coefficients) for factor in plan.encoding.factors)
    return _FLOAT * parameters * plan.sampler.chains * plan.sampler.draws
