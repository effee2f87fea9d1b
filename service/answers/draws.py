"""Draws."""

from service.answers.common import Answer


class Draws(Answer):
    """Draws after warm-up."""

    fit_id: str
    """The id of the fit."""
    chains: list[int]
    """The numbers of the chains, from 0."""
    draws: list[int]
    """The numbers of the draws within each chain, from 0."""
    parameters: dict[str, list[list[float | None]]]
    """The draws of each parameter, by its name: a list for each chain. A draw that is not finite is
    null."""
