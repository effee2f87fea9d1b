"""The members of a batch: requests from a list, from lines, or one model for each value of a column.

A member that is wrong is one with a problem; the others are made all the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import structlog
from numpy.typing import NDArray

from model.errors import InvalidModel, Issue, RanefError
from model.frame.levels import distinct, level_label
from model.frame.table import Table
from model.spec import FitPlan
from service.caps import too_many
from service.media_types import NDJSON
from service.places import moving
from service.problems import LISTED_ERRORS
from service.reading import (
    CheckCallback,
    OpenDataset,
    check_fit,
    plan_of,
    read_json,
    read_shape,
    read_template,
)
from service.requests.batches import BatchRequest
from service.requests.fits import FitRequest
from service.settings import Limits

log = structlog.get_logger()
LONGEST_ID = 200
UNEXPECTED = Issue("internal-error", "The service failed on this member; the log has the cause.")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member before it is submitted: a checked request with its plan, or what is wrong with it."""

    custom_id: str
    checked: tuple[FitRequest, FitPlan] | None
    issues: tuple[Issue, ...] = ()
    more_issues: int = 0
    """How many there are beside those."""

    def without_plan(self) -> "Candidate":
        """What is still needed when the plan has said all it had to: few of its issues are ever listed."""
        more = max(0, len(self.issues) - LISTED_ERRORS)
        return Candidate(self.custom_id, None, self.issues[:LISTED_ERRORS], more)


@dataclass(frozen=True, slots=True)
class Members:
    """A batch as it was asked for: where its end is told, and its members, of which one at a time is in memory."""

    callback_url: str | None
    candidates: Iterator[Candidate]


def read_members(
    media_type: str,
    body: bytes,
    limits: Limits,
    open_dataset: OpenDataset,
    check_callback: CheckCallback,
    cells: int,
) -> Members:
    """Read a batch; raises InvalidModel for what is wrong with it as a whole, before the first member.

    A member whose design would have more than so many `cells` raises Costly.
    """
    if media_type == NDJSON:
        lines = [line for line in body.splitlines() if line.strip()]
        _check_count(len(lines), limits, None)
        return Members(None, _listed(lines, limits, open_dataset, check_callback, cells))
    request = read_shape(BatchRequest, read_json(body, limits), limits)
    url = None if request.callback is None else request.callback.url
    issues = [] if url is None else check_callback(url)
    try:
        candidates = _asked_for(request, limits, open_dataset, check_callback, cells)
    except InvalidModel as error:
        raise InvalidModel([*issues, *error.issues]) from None
    if issues:
        raise InvalidModel(issues)
    return Members(url, candidates)


def _asked_for(
    request: BatchRequest,
    limits: Limits,
    open_dataset: OpenDataset,
    check_callback: CheckCallback,
    cells: int,
) -> Iterator[Candidate]:
    if request.fits is not None:
        _check_count(len(request.fits), limits, "/fits")
        return _listed(request.fits, limits, open_dataset, check_callback, cells)
    with moving(lambda pointer: "/template" + pointer, everything=True):
        template, table = read_template(request.template, limits, open_dataset, check_callback, cells)
    assert request.split_by is not None
    values, index = _split(table, request.split_by)
    _check_count(len(values), limits, "/split_by")
    return _parts(template, table, values, index, limits, cells)


def _check_count(count: int, limits: Limits, pointer: str | None) -> None:
    if count == 0:
        raise InvalidModel(Issue("missing-field", "The batch has no members.", pointer))
    if count > limits.batch_members:
        raise InvalidModel(too_many("members of a batch", count, limits.batch_members, pointer))


def _listed(
    documents: Sequence[bytes | object],
    limits: Limits,
    open_dataset: OpenDataset,
    check_callback: CheckCallback,
    cells: int,
) -> Iterator[Candidate]:
    seen: set[str] = set()
    for number, document in enumerate(documents):
        try:
            read = read_json(document, limits) if isinstance(document, bytes) else document
            custom_id, rest = _named(read, str(number), seen)
        except InvalidModel as error:
            yield Candidate(str(number), None, error.issues)
            continue
        yield _candidate(custom_id, partial(check_fit, rest, limits, open_dataset, check_callback, cells))


def _candidate(custom_id: str, check: Callable[[], tuple[FitRequest, FitPlan]]) -> Candidate:
    """Check a member; a fault of ours that it meets is its own problem and goes into the log, and no other member's."""
    try:
        return Candidate(custom_id, check())
    except InvalidModel as error:
        return Candidate(custom_id, None, error.issues)
    except (RanefError, MemoryError):
        # The store does not answer, or something else is wrong with the whole batch.
        raise
    except Exception:
        log.exception("unexpected error in a member of a batch", custom_id=custom_id)
        return Candidate(custom_id, None, (UNEXPECTED,))


def _named(document: object, usual: str, seen: set[str]) -> tuple[str, object]:
    """Take the `custom_id` out of a member."""
    if not isinstance(document, dict) or "custom_id" not in document:
        seen.add(usual)
        return usual, document
    custom_id = document["custom_id"]
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= LONGEST_ID:
        message = f"A `custom_id` is a text of 1 to {LONGEST_ID} characters."
        raise InvalidModel(Issue("invalid-value", message, "/custom_id"))
    if custom_id in seen:
        raise InvalidModel(
            Issue("invalid-value", "Another member has this `custom_id` already.", "/custom_id")
        )
    seen.add(custom_id)
    return custom_id, {key: value for key, value in document.items() if key != "custom_id"}


def _split(table: Table, name: str) -> tuple[list[str], NDArray[np.int64]]:
    if name not in table:
        raise InvalidModel(
            Issue("unknown-column", "The data lack the column to split by.", "/split_by", None, name)
        )
    if table[name].missing_count:
        message = f"The column to split by has {table[name].missing_count} missing values."
        raise InvalidModel(Issue("missing-values", message, "/split_by", None, name))
    values, index = distinct(table[name])
    return [level_label(value) for value in values], index


def _parts(
    template: FitRequest,
    table: Table,
    values: Sequence[str],
    index: NDArray[np.int64],
    limits: Limits,
    cells: int,
) -> Iterator[Candidate]:
    # One sort instead of a look at every row for each value.
    order = np.argsort(index, kind="stable")
    ends = np.cumsum(np.bincount(index, minlength=len(values)))
    for number, value in enumerate(values):
        rows = order[ends[number - 1] if number else 0 : ends[number]]
        yield _candidate(value, partial(_planned, template, table, rows, limits, cells))


def _planned(
    template: FitRequest, table: Table, rows: NDArray[np.int64], limits: Limits, cells: int
) -> tuple[FitRequest, FitPlan]:
    return template, plan_of(template, table.take(rows), limits, cells)
