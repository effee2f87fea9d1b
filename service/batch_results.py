"""The results of a batch: a line of NDJSON or some rows for each member, in the order in which they ended.

Members that were refused come first; some members are read from the store at a time, whatever there are in all.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import numpy as np
import orjson
import pyarrow as pa
from anyio.to_thread import run_sync
from starlette.requests import Request

from service.caching import to_json
from service.columnar import batch as rows_of
from service.deps import Services
from service.flat import SUMMARY_COLUMNS, columns_of, summary_rows
from service.problems import document
from service.row_writer import RowWriter
from service.spreadsheets import harmless
from service.views import failure_view
from store.base import StoreUnavailable
from store.batches import REJECTED, BatchRecord, Ended, Member

_PAUSE = 0.25  # between two looks at what has ended
_AT_ONCE = 50  # members whose results are read together
_NO_ESTIMATE: Mapping[str, Any] = dict.fromkeys(SUMMARY_COLUMNS)
_WITH_A_RESULT = ("succeeded", "cancelled")


@dataclass(frozen=True, slots=True)
class _Place:
    """A member that has ended, by its index, and how."""

    index: int
    status: str


@dataclass(frozen=True, slots=True)
class _Result:
    """What has become of a member: the summary as its worker has written it, or a problem, or neither."""

    cursor: int
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
        try:
            async for results in self._arriving(after, follow):
                yield b"".join(map(_line, results))
        except StoreUnavailable:
            # The client comes back by itself, with the last cursor it has.
            return

    async def rows(
        self, after: int, follow: bool, media_type: str, guarded: bool = False
    ) -> AsyncIterator[bytes]:
        """Write a row for each estimate, and one for a member that has none, of the same members.

        Raises StoreUnavailable: rows that end early must not look as if they were all.
        """
        writer = RowWriter(_table([]).schema, media_type)
        async for results in self._arriving(after, follow):
            table = await run_sync(_table, results)
            if guarded:
                table = harmless(table)
            yield await run_sync(writer.write, table)
        yield writer.close()

    async def _arriving(self, after: int, follow: bool) -> AsyncIterator[list[_Result]]:
        number = 0
        while True:
            news = await run_sync(self._news)
            if not news and await run_sync(self._is_gone):
                return
            skipped = min(len(news), max(0, after - number))
            number += skipped
            for start in range(skipped, len(news), _AT_ONCE):
                some = news[start : start + _AT_ONCE]
                yield await run_sync(self._results, some, number)
                number += len(some)
            if not follow or self._here.draining or number >= self._record.size:
                return
            await anyio.sleep(_PAUSE)

    def _news(self) -> list[_Place]:
        ended: Sequence[Ended] = self._here.batches.ended(self._record.id, self._read)
        self._read += len(ended)
        refused, self._refused = self._refused, []
        return refused + [_Place(index, one.status) for one in ended for index in self._indexes[one.fit_id]]

    def _is_gone(self) -> bool:
        return self._here.batches.get(self._record.id, self._record.tenant) is None

    def _results(self, places: Sequence[_Place], number: int) -> list[_Result]:
        of = {place.index: self._members[place.index].fit_id for place in places}
        ids = sorted({fit_id for fit_id in of.values() if fit_id is not None})
        fits = self._here.store.get_many(ids)
        summaries = self._here.store.artifacts(
            [fit_id for fit_id, fit in fits.items() if fit.status in _WITH_A_RESULT], "summary"
        )
        results = []
        for cursor, place in enumerate(places, number + 1):
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
            results.append(_Result(cursor, place.index, member, place.status, summary, problem))
        return results


def _line(result: _Result) -> bytes:
    line = {
        "cursor": result.cursor,
        "index": result.index,
        "custom_id": result.member.custom_id,
        "fit_id": result.member.fit_id,
        "status": result.status,
        "summary": None if result.summary is None else orjson.Fragment(result.summary),
        "problem": result.problem,
    }
    return to_json(line) + b"\n"


def _table(results: Sequence[_Result]) -> pa.RecordBatch:
    of: list[_Result] = []
    estimates: list[Mapping[str, Any]] = []
    for result in results:
        found = [_NO_ESTIMATE] if result.summary is None else list(summary_rows(orjson.loads(result.summary)))
        of += [result] * len(found)
        estimates += found
    return rows_of(
        {
            "cursor": np.array([result.cursor for result in of], dtype=np.int64),
            "index": np.array([result.index for result in of], dtype=np.int64),
            "custom_id": [result.member.custom_id for result in of],
            "fit_id": [result.member.fit_id for result in of],
            "status": [result.status for result in of],
            **columns_of(estimates, SUMMARY_COLUMNS),
        }
    )
