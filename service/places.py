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
def moving(move: Move | None) -> Iterator[None]:
    """Let the errors about `data` that are raised meanwhile point to where the rows came from."""
    try:
        yield
    except InvalidModel as error:
        if move is None:
            raise
        raise InvalidModel(_moved(issue, move) for issue in error.issues) from None


def _moved(issue: Issue, move: Move) -> Issue:
    if issue.pointer is None or not (issue.pointer + "/").startswith("/data/"):
        return issue
    return replace(issue, pointer=move(issue.pointer))
