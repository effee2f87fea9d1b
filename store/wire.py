"""Records as the fields of a Redis hash, and back; the scripts never look into those that are JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from store.records import Event, Failure, FitRecord, FitStatus, Progress, Result, WorkerState

Fields = Mapping[bytes, bytes]
_REQUEST = ("formula", "family", "rows", "dropped_rows", "method", "method_reason", "warnings", "metadata")


def record_to_fields(record: FitRecord) -> dict[str, str | bytes]:
    """Write what is known when a fit is created; the store adds status, attempt and times."""
    request = orjson.dumps({name: getattr(record, name) for name in _REQUEST})
    return {"id": record.id, "tenant": record.tenant, "queue": record.queue, "request": request}


def flat(fields: Mapping[str, str | bytes]) -> list[str | bytes]:
    """Give fields and values in turn, as commands and scripts take them."""
    return [part for pair in fields.items() for part in pair]


def record_from_fields(fields: Fields) -> FitRecord:
    """Read a record from all the fields of its hash."""
    known: dict[str, Any] = orjson.loads(fields[b"request"])
    if b"outcome" in fields:
        known |= orjson.loads(fields[b"outcome"])
    known["warnings"] = tuple(known["warnings"])
    return FitRecord(
        id=fields[b"id"].decode(),
        tenant=fields[b"tenant"].decode(),
        status=FitStatus(fields[b"status"].decode()),
        queue=fields[b"queue"].decode(),
        attempt=int(fields[b"attempt"]),
        created_at=float(fields[b"created_at"]),
        started_at=_time(fields, b"started_at"),
        finished_at=_time(fields, b"finished_at"),
        expires_at=_time(fields, b"expires_at"),
        progress=progress_from_json(fields.get(b"progress")),
        failure=_failure(fields.get(b"failure")),
        **known,
    )


def result_to_json(result: Result) -> bytes:
    """Write what a finished fit adds to its record."""
    return orjson.dumps(asdict(result))


def failure_to_json(failure: Failure) -> bytes:
    """Write a failure."""
    return orjson.dumps(asdict(failure))


def progress_to_json(progress: Progress) -> bytes:
    """Write a progress."""
    return orjson.dumps(asdict(progress))


def progress_from_json(data: bytes | None) -> Progress | None:
    """Read a progress; None from nothing."""
    return Progress(**orjson.loads(data)) if data else None


def event_from_entry(entry_id: bytes, fields: Fields) -> Event:
    """Read an event from an entry of a stream."""
    return Event(
        id=entry_id.decode(),
        kind=fields[b"kind"].decode(),
        at=float(fields[b"at"]),
        status=FitStatus(fields[b"status"].decode()),
        progress=progress_from_json(fields[b"progress"]),
    )


def worker_to_json(worker: WorkerState) -> bytes:
    """Write a worker's beat."""
    return orjson.dumps(asdict(worker))


def worker_from_json(data: bytes) -> WorkerState:
    """Read a worker's beat."""
    return WorkerState(**orjson.loads(data))


def _time(fields: Fields, name: bytes) -> float | None:
    return float(fields[name]) if name in fields else None


def _failure(data: bytes | None) -> Failure | None:
    if data is None:
        return None
    values = orjson.loads(data)
    return Failure(**{**values, "issues": tuple(values["issues"])})
