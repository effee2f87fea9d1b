"""Draws of the quantities that trace and rank pictures show, each with its name and its diagnostics."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.frame.design import Float
from model.results.estimate import Estimate, estimates
from model.results.summary import scalars
from service.plots import limits
from service.plots.subject import Subject, first_of, too_many
from service.plots.text import legible
from service.problems import Refusal
from service.selection import select

USUAL_QUANTITIES = 12


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity: its draws (chain, draw), and what its chains are worth."""

    name: str
    draws: Float
    estimate: Estimate

    @property
    def worth(self) -> tuple[str, ...]:
        """`r_hat` and effective sample sizes, a few words each; of a quantity that does not vary there are none."""
        of = self.estimate
        parts = [
            "" if of.r_hat is None else f"r_hat {of.r_hat:.3f}",
            "" if of.ess_bulk is None else f"ESS bulk {of.ess_bulk:,.0f}",
            "" if of.ess_tail is None else f"ESS tail {of.ess_tail:,.0f}",
        ]
        return tuple(filter(None, parts))

    def sentence(self) -> str:
        """Name and worth, for a description in words."""
        return f"{legible(self.name, 200)}: {', '.join(self.worth) or 'no diagnostics'}."


def choose_series(subject: Subject, parameters: Sequence[str]) -> tuple[list[Series], str]:
    """Give the quantities with these names, levels among them; without names the first parameters, and a note of that.

    Raises Refusal for a name that the fit does not have, and for more quantities than can be seen.
    """
    note = ""
    drawn = _selected(subject, parameters)
    if not drawn:
        every = scalars(subject.posterior)
        drawn = dict(list(every.items())[:USUAL_QUANTITIES])
        note = first_of(len(every), USUAL_QUANTITIES)
    judged = estimates(np.stack(list(drawn.values())), 0.95)
    found = zip(drawn.items(), judged, strict=True)
    return [Series(name, draws, one) for (name, draws), one in found], note


def _selected(subject: Subject, parameters: Sequence[str]) -> dict[str, Float]:
    if not parameters:
        return {}
    posterior = subject.posterior
    each = posterior.chains * posterior.draws
    try:
        found = select(posterior, parameters, chains=[], thin=1, most_values=limits.PANELS * each)
    except Refusal as refusal:
        if refusal.code == "limit-exceeded":
            raise too_many(limits.PANELS) from None
        raise
    return {
        name: np.ascontiguousarray(
            quantity.values.reshape(posterior.chains, posterior.draws, -1)[:, :, place]
        )
        for quantity in found
        for place, name in enumerate(quantity.names)
    }
