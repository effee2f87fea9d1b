"""What the service says of itself."""

from typing import Literal

from service.answers.common import Answer


class LimitList(Answer):
    """Every cap of this service, by name."""

    limits: dict[str, int]


class Alive(Answer):
    """The process runs."""

    status: Literal["alive"]


class Workers(Answer):
    """How many workers there are."""

    alive: int
    warm: int


class Ready(Answer):
    """The service takes requests."""

    status: Literal["ready"]
    workers: Workers


class ProblemPage(Answer):
    """What a type of problem means."""

    code: str
    title: str
    status: int
    meaning: str
    advice: str
