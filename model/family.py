"""Response distributions and their links: what a family allows, and what its response must look like.

The likelihoods themselves live where they are evaluated; this is the part that a request is checked against.
"""

from dataclasses import dataclass

import numpy as np

from model.design import Design, Float
from model.errors import InvalidModel, Issue


@dataclass(frozen=True, slots=True)
class _Facts:
    links: tuple[str, ...]
    """The first is the default."""
    parameters: tuple[str, ...] = ()
    """Names of its own parameters, beside the mean."""


FAMILIES = {
    "gaussian": _Facts(("identity",), ("sigma",)),
}


@dataclass(frozen=True, slots=True)
class Family:
    """A response distribution with the link of its mean."""

    name: str
    link: str

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the family's own parameters (`sigma`)."""
        return FAMILIES[self.name].parameters

    def inverse_link(self, eta: Float) -> Float:
        """The mean at a linear predictor."""
        return eta

    def link_of(self, mean: Float) -> Float:
        """The linear predictor at a mean."""
        return mean


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
    """What is wrong with a response under a family; an empty list when nothing is."""
    assert design.y is not None
    issues = []
    if design.trials is not None:
        message = f"trials() and cbind() belong to binomial responses, not to the {family.name} family."
        issues.append(Issue("response-mismatch", message, "/formula", 0))
    if design.rows and np.ptp(design.y - design.offset) == 0 and design.standard_error is None:
        issues.append(
            Issue(
                "constant-response",
                "The response has one value only; there is nothing to explain.",
                "/formula",
                0,
            )
        )
    return issues
