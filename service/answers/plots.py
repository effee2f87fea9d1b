"""The pictures that a fit has."""

from service.answers.common import Answer


class Plot(Answer):
    """One kind of picture."""

    name: str
    """The name of the plot: the last part of its address."""
    title: str
    """What the plot shows, in a few words."""
    choices: dict[str, list[str]]
    """The parameters of its query that name something of the fit, with the values that each can have; the
    first is the default."""
    links: dict[str, str]
    """The addresses of the plot, by format: `svg` and `png`."""


class Plots(Answer):
    """The pictures of one fit."""

    fit_id: str
    """The id of the fit."""
    items: list[Plot]
    """The plots that this fit has."""
