"""Where in a request an error is, when its rows did not come in the field `data`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from model.errors import InvalidModel, Issue

Move = Callable[[str], str | None]


def in_dataset(pointer: str) -> str | None:
    """The rows are those of a data set that the field `dataset` names."""
    return "/dataset"


def in_whole_body(pointer: str) -> str | None:
    """The rows are the whole body, as JSON."""
    return pointer.removeprefix("/data") or None


def in_no_json(pointer: str) -> str | None:
    """The rows are a body that is not JSON, in which no pointer leads anywhere."""
    return None


@contextmanager
def moving(move: Move | None, *, everything: bool = False) -> Iterator[None]:
    """Let the errors about `data` (or about `everything`) that are raised meanwhile point elsewhere."""
    try:
        yield
    except InvalidModel as error:
        if move is None:
            raise
        raise InvalidModel(_moved(issue, move, everything) for issue in error.issues) from None


def _moved(issue: Issue, move: Move, everything: bool) -> Issue:
    if issue.pointer is None or not (everything or (issue.pointer + "/").startswith("/data/")):
        return issue
    return replace(issue, pointer=move(issue.pointer))
