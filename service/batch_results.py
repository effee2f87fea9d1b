"""The results of a batch: a line of NDJSON or some rows of CSV for each member, in the order in which they ended.

Members that were refused come first; some members are read from the store at a time, whatever there are in all.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import orjson
import pyarrow as pa
from anyio.to_thread import run_sync
from starlette.requests import Request

from service.caching import to_json
from service.columnar import batch as rows_of
from service.deps import Services
from service.flat import SUMMARY_COLUMNS, columns_of, summary_rows
from service.problems import document
from service.views import failure_view
from store.base import StoreUnavailable
from store.batches import REJECTED, BatchRecord, Ended, Member

_PAUSE = 0.25  # between two looks at what has ended
_AT_ONCE = 50  # members whose results are read together
_COLUMNS = ("index", "custom_id", "fit_id", "status", *SUMMARY_COLUMNS)
_WITH_A_RESULT = ("succeeded", "cancelled")


@dataclass(frozen=True, slots=True)
class _Place:
    """A member that has ended, by its index, and how."""

    index: int
    status: str


@dataclass(frozen=True, slots=True)
class _Result:
    """What has become of a member: the summary as its worker has written it, or a problem, or neither."""

    index: int
    member: Member
    status: str
    summary: bytes | None
    problem: Any


class Results:
    """A batch's members in the order in which they ended."""

    def __init__(self, request: Request, here: Services, record: BatchRecord) -> None:
        self._request = request
        self._here = here
        self._record = record
        self._members = here.batches.members(record.id)
        self._read = 0
        self._indexes: dict[str | None, list[int]] = defaultdict(list)
        for index, member in enumerate(self._members):
            self._indexes[member.fit_id].append(index)
        self._refused = [_Place(index, REJECTED) for index in self._indexes.pop(None, [])]

    async def lines(self, after: int, follow: bool) -> AsyncIterator[bytes]:
        """Write a line for each member but the first `after`; with `follow` until the last has ended."""
        number = 0
        while True:
            try:
                news = await run_sync(self._news)
                if not news and await run_sync(self._is_gone):
                    return
                skipped = min(len(news), max(0, after - number))
                number += skipped
                for start in range(skipped, len(news), _AT_ONCE):
                    some = news[start : start + _AT_ONCE]
                    yield await run_sync(self._write, some, number)
                    number += len(some)
            except StoreUnavailable:
                # The client comes back by itself, with the last cursor it has.
                return
            if not follow or self._here.draining or number >= self._record.size:
                return
            await anyio.sleep(_PAUSE)

    def tables(self, after: int) -> Iterator[pa.RecordBatch]:
        """Give a row for each estimate, and one for a member that has none; the first table has no rows."""
        yield rows_of(columns_of([], _COLUMNS))
        news = self._news()[after:]
        for start in range(0, len(news), _AT_ONCE):
            results = self._results(news[start : start + _AT_ONCE])
            yield rows_of(columns_of([row for result in results for row in _rows(result)], _COLUMNS))

    def _news(self) -> list[_Place]:
        ended: Sequence[Ended] = self._here.batches.ended(self._record.id, self._read)
        self._read += len(ended)
        refused, self._refused = self._refused, []
        return refused + [_Place(index, one.status) for one in ended for index in self._indexes[one.fit_id]]

    def _is_gone(self) -> bool:
        return self._here.batches.get(self._record.id, self._record.tenant) is None

    def _write(self, places: Sequence[_Place], number: int) -> bytes:
        return b"".join(
            to_json(
                {
                    "cursor": cursor,
                    "index": result.index,
                    "custom_id": result.member.custom_id,
                    "fit_id": result.member.fit_id,
                    "status": result.status,
                    "summary": None if result.summary is None else orjson.Fragment(result.summary),
                    "problem": result.problem,
                }
            )
            + b"\n"
            for cursor, result in enumerate(self._results(places), number + 1)
        )

    def _results(self, places: Sequence[_Place]) -> list[_Result]:
        of = {place.index: self._members[place.index].fit_id for place in places}
        ids = sorted({fit_id for fit_id in of.values() if fit_id is not None})
        fits = self._here.store.get_many(ids)
        summaries = self._here.store.artifacts(
            [fit_id for fit_id, fit in fits.items() if fit.status in _WITH_A_RESULT], "summary"
        )
        results = []
        for place in places:
            member = self._members[place.index]
            fit = fits.get(member.fit_id or "")
            problem = member.problem
            if member.fit_id is not None and fit is None:
                problem = document(self._request, "fit-gone")
            # A fit that gave way to the same request made again may have another end by now.
            same = fit is not None and fit.status == place.status
            if same and fit is not None and fit.failure is not None:
                problem = failure_view(fit.failure, self._here.settings.problem_base)
            summary = summaries.get(member.fit_id or "") if same else None
            results.append(_Result(place.index, member, place.status, summary, problem))
        return results


def _rows(result: _Result) -> Iterator[dict[str, Any]]:
    about = {
        "index": str(result.index),
        "custom_id": result.member.custom_id,
        "fit_id": result.member.fit_id,
        "status": result.status,
    }
    if result.summary is None:
        yield {**about, **dict.fromkeys(SUMMARY_COLUMNS)}
        return
    for row in summary_rows(orjson.loads(result.summary)):
        yield {**about, **row}
