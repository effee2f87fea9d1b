"""What can be wrong with a request, and where: one tree of errors, free of any transport.

An error carries every issue that was found, each with a stable code and a place in the request.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong (or, as a warning, doubtful) and where it is.

    `code` is stable, in kebab-case, and names the page that explains it. `pointer` is a JSON pointer (RFC 6901)
    into the request, `position` a 0-based offset in characters into the formula, `column` a name in the data.
    """

    code: str
    message: str
    pointer: str | None = None
    position: int | None = None
    column: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A structured warning: the answer stands, but the reader should know this about it."""

    code: str
    message: str
    severity: Literal["info", "warning", "serious"] = "warning"
    parameters: tuple[str, ...] = ()
    advice: str | None = None


class RanefError(Exception):
    """The root of the project's errors."""


class InvalidModel(RanefError):
    """A model, its data, or a question about it that cannot be answered; `issues` says all that is wrong."""

    def __init__(self, issues: Issue | Iterable[Issue]) -> None:
        self.issues: tuple[Issue, ...] = (issues,) if isinstance(issues, Issue) else tuple(issues)
        super().__init__("; ".join(issue.message for issue in self.issues))


class Costly(RanefError):
    """What was asked for may be done, but takes more than whoever asked was ready to spend here and now."""


class FormulaError(InvalidModel):
    """A formula that cannot be read; each issue's `position` points at the place."""
