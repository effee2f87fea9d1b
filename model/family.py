"""Response distributions and their links: what a family allows, and the moments and draws of its responses.

The likelihoods that are sampled live in the worker's programs; this is the part that needs NumPy only.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.errors import InvalidModel, Issue
from model.frame.design import Design, Float
from model.links import LINKS


@dataclass(frozen=True, slots=True)
class _Facts:
    links: tuple[str, ...]
    """The first is the default."""
    parameters: tuple[str, ...] = ()
    """Names of its own parameters, beside the mean."""


_OF_PROBABILITIES = ("logit", "probit", "cloglog")
FAMILIES = {
    "gaussian": _Facts(("identity", "log"), ("sigma",)),
    "student": _Facts(("identity",), ("sigma", "nu")),
    "bernoulli": _Facts(_OF_PROBABILITIES),
    "binomial": _Facts(_OF_PROBABILITIES),
    "poisson": _Facts(("log",)),
    "negbinomial": _Facts(("log",), ("shape",)),
}


@dataclass(frozen=True, slots=True)
class Family:
    """A response distribution with the link of its mean.

    The mean of a binomial response is its probability, not its expected count.
    """

    name: str
    link: str

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the family's own parameters, as brms has them: `sigma`, `nu`, `shape`."""
        return FAMILIES[self.name].parameters

    @property
    def counts(self) -> bool:
        """Whether responses are counts: whole numbers from zero."""
        return self.name in ("bernoulli", "binomial", "poisson", "negbinomial")

    @property
    def probability(self) -> bool:
        """Whether the mean is a probability."""
        return self.name in ("bernoulli", "binomial")

    def inverse_link(self, eta: Float) -> Float:
        """The mean at a linear predictor."""
        return LINKS[self.link].inverse(eta)

    def link_of(self, mean: Float) -> Float:
        """The linear predictor at a mean."""
        return LINKS[self.link].of_mean(mean)

    def slope(self, eta: Float) -> Float:
        """Derivative of the mean by the linear predictor."""
        return LINKS[self.link].slope(eta)

    def variance(self, mean: Float, parameters: Mapping[str, Float]) -> Float:
        """Variance of a response (of one trial) with this mean; infinite where a student's nu is 2 or less."""
        match self.name:
            case "bernoulli" | "binomial":
                return mean * (1.0 - mean)
            case "poisson":
                return mean
            case "negbinomial":
                return mean + mean**2 / parameters["shape"]
            case "student":
                nu = parameters["nu"]
                excess = np.where(nu > 2.0, nu - 2.0, 0.0)
                with np.errstate(divide="ignore"):
                    return parameters["sigma"] ** 2 * nu / excess + 0.0 * mean
            case _:
                return parameters["sigma"] ** 2 + 0.0 * mean

    def draw(
        self, source: np.random.Generator, mean: Float, parameters: Mapping[str, Float], trials: Float | None
    ) -> Float:
        """Draw a response for each element of `mean`; `parameters` and `trials` broadcast against it.

        Counts come as floats. Poisson means are cut where the generator's integers end, near 9.2e18.
        """
        match self.name:
            case "bernoulli":
                return (source.random(mean.shape) < mean).astype(np.float64)
            case "binomial":
                assert trials is not None
                return source.binomial(trials.astype(np.int64), mean).astype(np.float64)
            case "poisson":
                return _poisson(source, mean)
            case "negbinomial":
                shape = np.broadcast_to(parameters["shape"], mean.shape)
                return _poisson(source, source.standard_gamma(shape) / shape * mean)
            case "student":
                noise = source.standard_t(np.broadcast_to(parameters["nu"], mean.shape))
                return mean + parameters["sigma"] * noise
            case _:
                return mean + parameters["sigma"] * source.standard_normal(mean.shape)


def find_family(name: str, link: str | None = None) -> Family:
    """The family of a request; raises InvalidModel (`unknown-family`, `unknown-link`) listing what there is."""
    facts = FAMILIES.get(name)
    if facts is None:
        raise InvalidModel(
            Issue(
                "unknown-family",
                f"There is no family of that name; there are: {', '.join(FAMILIES)}.",
                "/family",
            )
        )
    if link is not None and link not in facts.links:
        message = f"The {name} family has no such link; it has: {', '.join(facts.links)}."
        raise InvalidModel(Issue("unknown-link", message, "/link"))
    return Family(name, link or facts.links[0])


def check_response(family: Family, design: Design) -> list[Issue]:
    """Everything that is wrong with a response under a family; an empty list when nothing is."""
    assert design.y is not None
    issues = []

    def refuse(code: str, message: str) -> None:
        issues.append(Issue(code, message, "/formula", 0))

    def expect(holds: NDArray[np.bool_], rule: str) -> None:
        if bad := np.flatnonzero(~holds).tolist():
            message = f"A {family.name} response must be {rule}, and is not in {len(bad)} rows (first: row {bad[0]})."
            refuse("invalid-response", message)

    y, trials = design.y, design.trials
    if family.name == "binomial" and trials is None:
        message = "A binomial response needs its trials: y | trials(n), or cbind(successes, failures)."
        refuse("response-mismatch", f"{message} The bernoulli family has one trial in each row.")
    if family.name != "binomial" and trials is not None:
        message = f"trials() and cbind() belong to binomial responses, not to the {family.name} family."
        refuse("response-mismatch", message)
    if family.name != "gaussian" and design.standard_error is not None:
        message = f"se() belongs to gaussian responses, not to the {family.name} family."
        refuse("response-mismatch", message)
    if design.outcomes and family.name != "bernoulli":
        message = f"Text of two levels is a bernoulli response; one of the {family.name} family is a number."
        refuse("column-type", message)
    elif family.name == "bernoulli":
        expect((y == 0) | (y == 1), "0 or 1, a boolean, or text of two levels")
    elif family.counts:
        expect((y >= 0) & (y == np.floor(y)), "a count (0, 1, 2, …)")
    if trials is not None and not trials.any():
        refuse("invalid-response", "No row has a trial.")
    if family.link == "log" and not family.counts and not np.any(y > 0):
        refuse("invalid-response", "Under a log link the mean is positive, and no response is.")
    if not issues and _constant(family, design):
        refuse("constant-response", "The response has one value only; there is nothing to explain.")
    return issues


def _constant(family: Family, design: Design) -> bool:
    """Whether the most likely linear predictor is the same in all rows, or at infinity in all."""
    assert design.y is not None
    if not design.rows or design.standard_error is not None:
        return False
    if family.probability:
        trials = np.ones(design.rows) if design.trials is None else design.trials
        return not design.y.any() or bool(np.all(design.y == trials))
    if family.counts:
        return not design.y.any()
    return bool(np.ptp(design.y - (design.offset if family.link == "identity" else 0.0)) == 0)


def _poisson(source: np.random.Generator, mean: Float) -> Float:
    return source.poisson(np.minimum(mean, 9.2e18)).astype(np.float64)
