"""Comparisons of fits."""

from service.answers.checks import LooEstimate
from service.answers.common import Answer, FamilyAnswer, Notice


class ComparedFit(Answer):
    """One fit among others of the same data."""

    fit_id: str
    """The id of the fit."""
    formula: str
    """The formula of the fit in canonical form."""
    family: FamilyAnswer
    """The family of the response, and its link function."""
    elpd_diff: LooEstimate
    """The difference of `elpd_loo` from that of the best fit, zero or less; its standard error is that of a
    sum of differences row by row."""
    elpd_loo: LooEstimate
    """The expected log pointwise predictive density. Larger is better."""
    p_loo: LooEstimate
    """The effective number of parameters."""
    stacking_weight: float
    """The weight of this fit in the mixture of all fits that predicts best, from 0 to 1."""
    pareto_k_max: float | None
    """The largest k-hat of all rows; null if one of them has none."""
    unreliable: int
    """How many rows have a k-hat above the limit."""
    log_marginal_likelihood: float | None
    """The logarithm of the marginal likelihood; differences are logarithms of Bayes factors. Null where the
    method does not give it or a prior is improper."""


class Comparison(Answer):
    """Fits of the same data, the best first."""

    rows: int
    """How many rows the fits have in common."""
    left_out: int
    """How many rows were left out in turn."""
    fits: list[ComparedFit]
    """The fits, the best first."""
    warnings: list[Notice]
    """What is doubtful about this comparison."""
