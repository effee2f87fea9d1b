"""Checks of a fit: leave-one-out cross-validation and posterior predictive checks."""

from pydantic import Field

from service.answers.common import Answer, Notice


class LooEstimate(Answer):
    """A sum over all rows."""

    estimate: float | None
    """The sum; null if it cannot be computed."""
    se: float | None
    """The standard error of the sum, taking the rows for a sample from a population; null where there is
    one row."""
    subsampling_se: float | None
    """The standard error that comes of leaving out only a sample of the rows; null where all were left
    out."""


class LooRows(Answer):
    """The rows that were left out, in columns."""

    row: list[int]
    """The numbers of the rows that were left out, in the data as they were sent, from 0."""
    elpd_loo: list[float | None]
    """The log predictive density of each row given all others; null if it cannot be computed."""
    p_loo: list[float | None]
    """The effective number of parameters that each row uses; null if it cannot be computed."""
    pareto_k: list[float | None]
    """The Pareto k-hat of each row; null where the importance weights fit no Pareto distribution, which is
    worse than any number."""


class LevelInfluence(Answer):
    """What the rows of one level say of it."""

    level: str
    """The label of the level."""
    columns: dict[str, str | int | bool]
    """The level's value in each column of the factor."""
    rows: int
    """How many rows of the data belong to the level."""
    unreliable: int
    """How many of its rows have a k-hat above `pareto_k_limit`."""
    elpd_loo: float | None
    """The sum of `elpd_loo` over the level's rows; null if it cannot be computed."""
    p_loo: float | None
    """The effective number of parameters that the level's rows use; null if it cannot be computed."""
    pareto_k: float | None
    """The largest k-hat of the level's rows; null if one of them has none."""


class LooCheck(Answer):
    """Leave-one-out cross-validation by Pareto smoothed importance sampling, given the group-level effects."""

    rows: int
    """How many rows were fitted."""
    left_out: int
    """How many rows were left out in turn: all of them, or a sample where there are very many."""
    draws: int
    """How many draws of the posterior were used."""
    elpd_loo: LooEstimate
    """The expected log pointwise predictive density: the sum of the log densities of rows that were left
    out. Larger is better."""
    p_loo: LooEstimate
    """The effective number of parameters."""
    looic: LooEstimate
    """The information criterion, -2 times `elpd_loo`. Smaller is better."""
    mcse_elpd_loo: float | None
    """The Monte Carlo standard error of `elpd_loo`; null where a k-hat is above `pareto_k_limit`."""
    pareto_k_limit: float
    """The k-hat above which a row's density is unreliable at this number of draws."""
    pareto_k_max: float | None
    """The largest k-hat of all rows; null if one of them has none."""
    unreliable: int
    """How many rows have a k-hat above `pareto_k_limit`."""
    pointwise: LooRows | None
    """The figures of each row that was left out; null unless they were asked for."""
    levels: dict[str, list[LevelInfluence]]
    """For each grouping factor, the levels whose rows use the largest effective number of parameters."""


class PredictiveStatistic(Answer):
    """A statistic of the responses, beside those of the replicated data sets."""

    name: str
    """The name of the statistic."""
    observed: float | None
    """The statistic of the responses; null if it has no finite value."""
    mean: float | None
    """Its mean over the replicated data sets; null if it has no finite value."""
    sd: float | None
    """Its standard deviation over the replicated data sets; null if it has no finite value."""
    lower: float | None
    """The lower end of the central interval of the replicated values, whose probability is `prob`; null if
    it has no finite value."""
    upper: float | None
    """The upper end of that interval; null if it has no finite value."""
    p_value: float
    """The share of the replicated values that are larger than the observed one, equal ones counted half."""
    replicated: list[float | None]
    """The statistic of each replicated data set; null where it has no finite value."""


class PredictiveDensity(Answer):
    """Kernel densities."""

    grid: list[float]
    """The values of the response at which the densities are given."""
    observed: list[float]
    """The density of the responses at each value of `grid`."""
    replicated: list[list[float]] = Field(max_length=50)
    """The densities of some of the replicated data sets at each value of `grid`."""


class PredictiveDistribution(Answer):
    """Empirical distribution functions, the replicated ones by their quantiles at each point."""

    grid: list[float]
    """The values of the response at which the distribution functions are given."""
    observed: list[float]
    """The share of the responses that are at most each value of `grid`."""
    lower: list[float]
    """The lower end, at each value of `grid`, of the central interval of that share over the replicated
    data sets."""
    median: list[float]
    """The median of that share over the replicated data sets."""
    upper: list[float]
    """The upper end of that interval."""


class PredictiveBars(Answer):
    """How many responses are counts from `first` to `last`."""

    first: list[float]
    """The smallest count of each bar."""
    last: list[float | None]
    """The largest count of each bar; null where the last bar has no upper end."""
    observed: list[int]
    """How many responses each bar holds."""
    lower: list[float]
    """The lower end, for each bar, of the central interval of that number over the replicated data sets."""
    median: list[float]
    """The median of that number over the replicated data sets."""
    upper: list[float]
    """The upper end of that interval."""


class PredictiveChecks(Answer):
    """The responses beside data sets that the fitted model makes up for the same rows."""

    response: str
    """The response, as the formula says it."""
    rows: int
    """How many rows were fitted."""
    replications: int
    """How many data sets were replicated."""
    seed: str
    """The seed of the replications, as text, since it may have more digits than a double holds."""
    prob: float
    """The probability of the central intervals."""
    statistics: list[PredictiveStatistic]
    """Statistics of the responses beside those of the replicated data sets."""
    density: PredictiveDensity | None
    """Kernel densities of the responses; null where the responses are counts."""
    distribution: PredictiveDistribution | None
    """Empirical distribution functions of the responses; null where the responses are counts."""
    bars: PredictiveBars | None
    """How often each count occurs; null where the responses are not counts."""


class Checks(Answer):
    """Checks of a fit; what was not asked for is null."""

    fit_id: str
    """The id of the fit."""
    loo: LooCheck | None
    """Leave-one-out cross-validation; null if it was not asked for."""
    predictive: PredictiveChecks | None
    """Posterior predictive checks; null if they were not asked for."""
    warnings: list[Notice]
    """What is doubtful about these checks."""
