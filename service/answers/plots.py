"""The pictures that a fit has."""

from service.answers.common import Answer


class Plot(Answer):
    """One kind of picture."""

    name: str
    title: str
    choices: dict[str, list[str]]
    """Parameters of the query that name something of the fit, with what they can be; the first is the usual one."""
    links: dict[str, str]
    """Its address by format."""


class Plots(Answer):
    """The pictures of one fit."""

    fit_id: str
    items: list[Plot]
