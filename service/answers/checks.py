"""Checks of a fit: leave-one-out cross-validation and posterior predictive checks."""

from pydantic import Field

from service.answers.common import Answer, Notice


class LooEstimate(Answer):
    """A sum over all rows."""

    estimate: float | None
    se: float | None
    """Standard error, the rows taken for a sample; null where there is one row."""
    subsampling_se: float | None
    """Error of the sum itself where it is estimated from some of the rows; null where all were left out."""


class LooRows(Answer):
    """The rows that were left out, in columns."""

    row: list[int]
    """Numbers of the rows in the data as they were sent, from 0."""
    elpd_loo: list[float | None]
    p_loo: list[float | None]
    pareto_k: list[float | None]
    """k-hat; null where the weights are too wild for any Pareto distribution, which is worse than any number."""


class LevelInfluence(Answer):
    """What the rows of one level say of it."""

    level: str
    columns: dict[str, str | int | bool]
    """The level's value in each column of the factor."""
    rows: int
    unreliable: int
    """How many of its rows have a k-hat above the limit."""
    elpd_loo: float | None
    p_loo: float | None
    """The effective number of parameters that its rows use."""
    pareto_k: float | None
    """The largest of its rows."""


class LooCheck(Answer):
    """Leave-one-out cross-validation by Pareto smoothed importance sampling, given the group-level effects."""

    rows: int
    left_out: int
    """Rows that were left out in turn: all, or a sample of very many."""
    draws: int
    elpd_loo: LooEstimate
    p_loo: LooEstimate
    looic: LooEstimate
    mcse_elpd_loo: float | None
    """Monte Carlo standard error; null where a k-hat is above the limit."""
    pareto_k_limit: float
    pareto_k_max: float | None
    unreliable: int
    """How many rows have a k-hat above the limit."""
    pointwise: LooRows | None
    levels: dict[str, list[LevelInfluence]]
    """By factor, the levels whose rows use the largest effective number of parameters."""


class PredictiveStatistic(Answer):
    """A statistic of the responses, beside those of the replicated data sets."""

    name: str
    observed: float | None
    mean: float | None
    sd: float | None
    lower: float | None
    upper: float | None
    p_value: float
    """How often the replicated one is larger, equal ones counted half."""
    replicated: list[float | None]


class PredictiveDensity(Answer):
    """Kernel densities."""

    grid: list[float]
    observed: list[float]
    replicated: list[list[float]] = Field(max_length=50)
    """Of some of the replicated data sets."""


class PredictiveDistribution(Answer):
    """Empirical distribution functions, the replicated ones by their quantiles at each point."""

    grid: list[float]
    observed: list[float]
    lower: list[float]
    median: list[float]
    upper: list[float]


class PredictiveBars(Answer):
    """How many responses are counts from `first` to `last`."""

    first: list[float]
    last: list[float | None]
    """Included; null where the last bar is open."""
    observed: list[int]
    lower: list[float]
    median: list[float]
    upper: list[float]


class PredictiveChecks(Answer):
    """The responses beside data sets that the fitted model makes up for the same rows."""

    response: str
    rows: int
    replications: int
    seed: str
    prob: float
    statistics: list[PredictiveStatistic]
    density: PredictiveDensity | None
    """Null where responses are counts."""
    distribution: PredictiveDistribution | None
    """Null where responses are counts."""
    bars: PredictiveBars | None
    """Null where responses are not counts."""


class Checks(Answer):
    """Checks of a fit; what was not asked for is null."""

    fit_id: str
    loo: LooCheck | None
    predictive: PredictiveChecks | None
    warnings: list[Notice]
