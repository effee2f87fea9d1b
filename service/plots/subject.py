"""What a picture is of: a fit that has ended, with its posterior and, where there is need of it, its data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from model.errors import Issue
from model.frame.grouping import Factor
from model.results.posterior import Posterior
from model.results.summary import summarize
from model.spec import FitPlan
from service.deps import Services
from service.lookup import plan_of, posterior_of
from service.plots.catalog import predictor_names
from service.plots.sheet import Heading
from service.plots.text import legible
from service.problems import Refusal
from store.records import FitRecord


@dataclass(frozen=True)
class Subject:
    """A fit, of which each part is fetched when it is first needed."""

    here: Services
    record: FitRecord

    @cached_property
    def posterior(self) -> Posterior:
        """The posterior; raises Refusal if there is none any more."""
        return posterior_of(self.here, self.record)

    @cached_property
    def plan(self) -> FitPlan:
        """The plan with the data; raises Refusal if there is none any more."""
        return plan_of(self.here, self.record)

    def summary(self, prob: float) -> Mapping[str, Any]:
        """The summary, as it is answered."""
        return summarize(self.posterior, prob)

    def heading(self, title: str, description: str, note: str = "") -> Heading:
        """The words around the panels, with what is known of every fit."""
        of = self.posterior
        chains = "1 chain" if of.chains == 1 else f"{of.chains} chains"
        sentences = [note.strip(), f"{chains} of {of.draws:,} draws."]
        return Heading(title, self.record.formula, " ".join(filter(None, sentences)), description)

    def factor(self, name: str | None) -> Factor:
        """The grouping factor of this name, or the first; raises Refusal if there is none of this name."""
        factors = self.posterior.encoding.factors
        found = next((factor for factor in factors if name in (None, factor.name)), None)
        if found is None:
            raise no_such("factor", [factor.name for factor in factors])
        return found

    @property
    def response(self) -> str:
        """The response, as the formula has it; of `cbind(successes, failures)` the successes."""
        response = self.posterior.encoding.parsed.response
        return legible(str(response.cbind[0] if response.cbind else response.value), 60)

    @property
    def expected_response(self) -> str:
        """What the model expects of the response."""
        probability = self.posterior.family.probability
        return f"{'probability of' if probability else 'expected'} {self.response}"

    def predictor(self, name: str | None) -> str:
        """The predictor of this name, or the usual one; raises Refusal if there is none of this name."""
        known = predictor_names(self.posterior.encoding)
        if name is not None and name not in known:
            raise no_such("variable", known)
        return name or known[0]

    def choose(self, names: Iterable[str], asked: Sequence[str], most: int) -> tuple[list[str], str]:
        """The names that are asked for, or that begin with what is; the first ones if nothing is, and a note of that.

        Raises Refusal for what nothing begins with, and for more than a picture holds.
        """
        known = list(names)
        if not asked:
            return known[:most], first_of(len(known), most)
        found = {one: [name for name in known if name == one or name.startswith(f"{one}[")] for one in asked}
        if missing := [one for one, hits in found.items() if not hits]:
            stems = ", ".join(dict.fromkeys(name.partition("[")[0] for name in known))
            shown = ", ".join(name[:200] for name in missing[:10])
            raise Refusal("unknown-parameter", f"The fit has no {shown}; it has {stems}.")
        chosen = set().union(*found.values())
        if len(chosen) > most:
            raise too_many(most)
        return [name for name in known if name in chosen], ""


def first_of(count: int, most: int) -> str:
    """Say that not all parameters are shown, if they are not."""
    return "" if count <= most else f"The first {most} of {count:,} parameters; `parameters` chooses others."


def no_such(what: str, known: Sequence[str]) -> Refusal:
    """Refuse a name in the query that the fit does not have, with those it has."""
    listed = ", ".join(name[:200] for name in known[:50])
    message = f"query parameter {what}: the fit has no such {what}; it has {listed or 'none'}"
    return Refusal("invalid-parameter", issues=(Issue("invalid-parameter", message),))


def too_many(most: int) -> Refusal:
    """Refuse to draw more than can be seen."""
    return Refusal("limit-exceeded", f"A picture shows at most {most} parameters; choose fewer.")
