"""Draws."""

from service.answers.common import Answer


class Draws(Answer):
    """Draws after warm-up."""

    fit_id: str
    chains: list[int]
    draws: list[int]
    """Numbers of the draws, within each chain."""
    parameters: dict[str, list[list[float | None]]]
    """For each parameter a list of its draws for each chain."""
