"""Comparisons of fits."""

from service.answers.checks import LooEstimate
from service.answers.common import Answer, FamilyAnswer, Notice


class ComparedFit(Answer):
    """One fit among others of the same data."""

    fit_id: str
    formula: str
    family: FamilyAnswer
    elpd_diff: LooEstimate
    """Distance to the best fit, zero or less; its standard error is that of a sum of differences row by row."""
    elpd_loo: LooEstimate
    p_loo: LooEstimate
    stacking_weight: float
    """Its part in the mixture of all fits that predicts best."""
    pareto_k_max: float | None
    unreliable: int
    """How many rows have a k-hat above the limit."""
    log_marginal_likelihood: float | None
    """Where the method gives it and every prior is proper; differences are logarithms of Bayes factors."""


class Comparison(Answer):
    """Fits of the same data, the best first."""

    rows: int
    left_out: int
    fits: list[ComparedFit]
    warnings: list[Notice]
