"""The rules that both stores apply, taken from the settings once."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import orjson

from store.records import PASSING_FAILURES, TRANSITIONS, WORKER_LOST, FitRecord, FitStatus
from store.settings import StoreSettings


@dataclass(frozen=True, slots=True)
class Policy:
    """Times to live and budgets as the store's methods need them; seconds and bytes."""

    result_ttl: float
    extend_interval: float
    unsuccessful_ttl: float
    tombstone_ttl: float
    checkpoint_ttl: float
    outcomes_ttl: float
    tenant_bytes: int
    max_active: int
    tenant_active: int
    max_events: int
    event_interval: float
    max_attempts: int
    queue_grace: float
    callback_ttl: float
    scan_limit: int

    @classmethod
    def of(cls, settings: StoreSettings) -> "Policy":
        """Take the rules from the settings."""
        return cls(**{name: getattr(settings, name) for name in cls.__slots__})

    def to_json(self) -> bytes:
        """Write the rules, with the table of transitions, for the scripts."""
        transitions = {str(status): sorted(targets) for status, targets in TRANSITIONS.items()}
        worker_lost = orjson.dumps(asdict(WORKER_LOST)).decode()
        given = {
            "transitions": transitions,
            "worker_lost": worker_lost,
            "passing": dict.fromkeys(sorted(PASSING_FAILURES), True),
        }
        return orjson.dumps(asdict(self) | given)


def matches(record: FitRecord, status: FitStatus | None, metadata: Mapping[str, str]) -> bool:
    """Tell whether a fit is of a status, if one is asked for, and has all of some metadata."""
    return (status is None or record.status is status) and metadata.items() <= record.metadata.items()
