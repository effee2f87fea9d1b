"""Which pictures there are, and which of them a fit has; matplotlib is not needed to know that."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from model.frame.learnt import Encoding
from model.frame.spread import Spread
from model.predictions.grid import predictors
from store.records import FitRecord, FitStatus


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of picture, and what a fit must have for it: `data`, a grouping `factor`, a `predictor`."""

    name: str
    title: str
    needs: tuple[Literal["data", "factor", "predictor"], ...] = ()


KINDS = (
    Kind("intervals", "Posterior means and intervals of all parameters but the levels' effects"),
    Kind("caterpillar", "Deviations of the levels of a grouping factor, in order", ("factor",)),
    Kind(
        "group-lines",
        "One line for each level over the data, with the population's line",
        ("data", "factor", "predictor"),
    ),
    Kind("conditional-effect", "What is expected along one predictor, with its interval", ("predictor",)),
    Kind("prior-posterior", "Prior and posterior density of each parameter", ("data",)),
    Kind("trace", "The draws of each chain in their order"),
    Kind("rank", "Histograms of the ranks of each chain's draws"),
    Kind("ppc", "The responses beside replicated data sets", ("data",)),
)


def kinds_of(encoding: Encoding, record: FitRecord) -> Iterator[Kind]:
    """Give the kinds of picture that a fit has."""
    has = {
        # What was asked for is dropped when a fit is cancelled, though there may be draws.
        "data": record.status is FitStatus.SUCCEEDED,
        "factor": bool(encoding.factors),
        "predictor": bool(predictors(encoding)),
    }
    return (kind for kind in KINDS if all(has[need] for need in kind.needs))


def choices(kind: Kind, encoding: Encoding) -> dict[str, list[str]]:
    """What can be chosen by name, with what it can be; the first is the usual one."""
    found: dict[str, list[str]] = {}
    if "factor" in kind.needs:
        found["factor"] = [factor.name for factor in encoding.factors]
    if "predictor" in kind.needs:
        found["variable"] = predictor_names(encoding)
    return found


def predictor_names(encoding: Encoding) -> list[str]:
    """The predictors of a model, numbers first."""
    known = predictors(encoding)
    return sorted(known, key=lambda name: not isinstance(known[name], Spread))
