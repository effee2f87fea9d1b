"""How a fit looks to a client: the store's record in the words of the contract.

Times are RFC 3339 in UTC, durations seconds.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from service.problem_types import PROBLEM_TYPES
from service.settings import ServiceSettings
from store.records import Event, Failure, FitRecord


def timestamp(seconds: float | None) -> str | None:
    """Write unix seconds as RFC 3339."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fit_view(record: FitRecord, settings: ServiceSettings) -> dict[str, Any]:
    """Describe a fit."""
    address = f"{settings.root_path}/v1/fits/{record.id}"
    links = {"self": address, "events": f"{address}/events", "callbacks": f"{address}/callbacks"}
    if not record.status.terminal:
        links["cancel"] = f"{address}/cancel"
    elif record.failure is None:
        links |= {
            "summary": f"{address}/summary",
            "predictions": f"{address}/predictions",
            "plots": f"{address}/plots",
        }
    return {
        "id": record.id,
        "status": record.status,
        "formula": record.formula,
        "family": record.family,
        "rows": record.rows,
        "dropped_rows": record.dropped_rows,
        "method": record.method,
        "method_reason": record.method_reason,
        "created_at": timestamp(record.created_at),
        "started_at": timestamp(record.started_at),
        "finished_at": timestamp(record.finished_at),
        "expires_at": timestamp(record.expires_at),
        "progress": asdict(record.progress) if record.progress else None,
        "timing": record.timing,
        "warnings": record.warnings,
        "failure": failure_view(record.failure, settings.problem_base) if record.failure else None,
        "metadata": record.metadata,
        "links": links,
    }


def failure_view(failure: Failure, problem_base: str) -> dict[str, Any]:
    """Describe why a fit failed, as a problem document."""
    code = failure.kind.replace("_", "-")
    kind = PROBLEM_TYPES.get(code, PROBLEM_TYPES["internal"])
    return {
        "type": f"{problem_base}/{code}",
        "title": failure.title,
        "status": kind.status,
        "detail": failure.detail,
        "errors": failure.issues,
        "errors_total": len(failure.issues),
    }


def event_view(event: Event) -> dict[str, Any]:
    """Describe one entry of a fit's history."""
    return {
        "id": event.id,
        "kind": event.kind,
        "at": timestamp(event.at),
        "status": event.status,
        "progress": asdict(event.progress) if event.progress else None,
    }
