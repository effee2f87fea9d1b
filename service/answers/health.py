"""What the service says of itself."""

from typing import Literal

from service.answers.common import Answer


class LimitList(Answer):
    """Every cap of this service, by name."""

    limits: dict[str, int]
    """Each cap by its name; sizes are in bytes, times in seconds."""


class Alive(Answer):
    """The process runs."""

    status: Literal["alive"]
    """Always `alive`."""


class Workers(Answer):
    """How many workers there are."""

    alive: int
    """How many workers have been heard of within the last seconds."""
    warm: int
    """How many of them have compiled what most fits need."""


class Ready(Answer):
    """The service takes requests."""

    status: Literal["ready"]
    """Always `ready`."""
    workers: Workers
    """The workers that fit models."""


class ProblemPage(Answer):
    """What a type of problem means."""

    code: str
    """The code of the problem."""
    title: str
    """The type of problem in a few words."""
    status: int
    """The HTTP status of an answer with this problem."""
    meaning: str
    """What it means."""
    advice: str
    """What to do about it; empty if there is nothing to advise."""
