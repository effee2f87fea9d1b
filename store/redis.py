"""The store in Redis or Valkey: one hash, one stream and some segments of bytes for each fit.

Every change is one Lua script, so it is atomic and by the server's clock; a Redis Cluster will not do.
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson

from store.base import NO_METADATA, Creation
from store.connection import SCRIPTS, connect, own, pairs, read, read_all, translated
from store.cursors import write_cursor
from store.fit_scripts import ALLOW_OOM, FitScripts
from store.keys import Keys
from store.new_fits import NewFits
from store.pages import walk
from store.policy import matches
from store.records import (
    QUEUES,
    Claim,
    Event,
    Failure,
    FitRecord,
    FitStatus,
    Lease,
    Page,
    Progress,
    QueueState,
    Result,
    WorkerState,
)
from store.segments import Segments
from store.settings import StoreSettings
from store.wire import (
    event_from_entry,
    failure_to_json,
    flat,
    progress_to_json,
    record_from_fields,
    result_to_json,
    worker_from_json,
    worker_to_json,
)

# Records that are read at once where most may be passed over.
_STEP = 200
# Workers that may ask for the next fit at the same moment.
_RIVALS = 100


class RedisStore:
    """A store on the server that the settings name; see `store.base.Store` for what the methods do."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.key_prefix)
        self._redis = connect(settings, settings.socket_timeout)
        self._segments = Segments(self._redis, settings)
        self._scripts = FitScripts(self._redis, settings)
        self._new_fits = NewFits(self._redis, settings, self._scripts, self._segments)
        # Looking after workers must be possible on a server without room, too.
        self._beat, self._lead, self._probe, self._next = (
            self._redis.register_script(ALLOW_OOM + (SCRIPTS / f"{name}.lua").read_text())
            for name in ("beat", "lead", "probe", "next")
        )

    def create(self, record: FitRecord, payload: bytes) -> tuple[FitRecord, bool]:
        """Add a queued fit unless its id exists."""
        (creation,) = self.create_many([(record, payload)])
        if isinstance(creation, tuple):
            return creation
        raise creation

    def create_many(self, fits: Sequence[tuple[FitRecord, bytes]]) -> tuple[Creation, ...]:
        """Add many fits, each as `create` does."""
        known = self.get_many([record.id for record, _ in fits])
        existing: dict[str, Creation] = {
            fit_id: (record, False) for fit_id, record in known.items() if not record.runs_anew
        }
        # A fit that is there twice is new once.
        new = {record.id: (record, payload) for record, payload in fits if record.id not in existing}
        made = dict(zip(new, self._new_fits.create(tuple(new.values())), strict=True)) if new else {}
        creations: list_[Creation] = []
        for record, _ in fits:
            creations.append(creation := existing.get(record.id) or made[record.id])
            if isinstance(creation, tuple):
                existing[record.id] = creation[0], False
        return tuple(creations)

    def get(self, fit_id: str, tenant: str | None = None) -> FitRecord | None:
        """Give a fit's record, if it is the tenant's."""
        key = self._keys.record(fit_id)
        with translated():
            if tenant is None:
                fields = cast(dict[bytes, bytes], read(self._redis, "HGETALL", key))
            else:
                fields = pairs(cast(list_[bytes], read(self._redis, *own(key, tenant))))
        return record_from_fields(fields) if fields else None

    def get_many(self, fit_ids: Sequence[str]) -> dict[str, FitRecord]:
        """Give the records of those of many fits that are there."""
        with translated():
            hashes = read_all(self._redis, [("HGETALL", self._keys.record(fit_id)) for fit_id in fit_ids])
        return {
            fit_id: record_from_fields(fields)
            for fit_id, fields in zip(fit_ids, hashes, strict=True)
            if fields
        }

    def gone(self, fit_id: str, tenant: str) -> bool:
        """Tell whether the tenant had this fit."""
        with translated():
            exists, owner = read_all(
                self._redis,
                [("EXISTS", self._keys.record(fit_id)), ("GET", self._keys.tombstone(fit_id))],
            )
        return not exists and owner == tenant.encode()

    def payload(self, fit_id: str) -> bytes | None:
        """Give what `create` was given."""
        with translated():
            manifest = cast(bytes | None, read(self._redis, "HGET", self._keys.record(fit_id), "payload"))
        return (
            None
            if manifest is None
            else self._segments.download(self._keys.blob(fit_id), orjson.loads(manifest))
        )

    def artifact(self, fit_id: str, name: str) -> bytes | None:
        """Give a published artifact by its name."""
        with translated():
            manifests = cast(bytes | None, read(self._redis, "HGET", self._keys.record(fit_id), "artifacts"))
        manifest = orjson.loads(manifests or b"{}").get(name)
        return None if manifest is None else self._segments.download(self._keys.blob(fit_id), manifest)

    def artifacts(self, fit_ids: Sequence[str], name: str) -> dict[str, bytes]:
        """Give a small artifact of many fits."""
        with translated():
            found = read_all(
                self._redis, [("HGET", self._keys.record(fit_id), "artifacts") for fit_id in fit_ids]
            )
        manifests = {
            fit_id: orjson.loads(written).get(name)
            for fit_id, written in zip(fit_ids, found, strict=True)
            if written
        }
        named = {fit_id: manifest for fit_id, manifest in manifests.items() if manifest is not None}
        blobs = self._segments.download_many(
            [(self._keys.blob(fit_id), manifest) for fit_id, manifest in named.items()]
        )
        return {fit_id: blob for fit_id, blob in zip(named, blobs, strict=True) if blob is not None}

    def list(
        self,
        tenant: str,
        *,
        limit: int = 20,
        cursor: str | None = None,
        status: FitStatus | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
    ) -> Page:
        """Give a page of the tenant's fits, newest first."""
        found: list_[FitRecord] = []
        scanned, last = 0, None
        step = limit + 1 if status is None and not metadata else _STEP
        for entries in walk(self._redis, self._keys.tenant_fits(tenant), cursor, step):
            records = self.get_many([fit_id for _, fit_id in entries])
            for entry in entries:
                if last is not None and scanned == self._settings.scan_limit:
                    return Page(tuple(found), write_cursor(*last))
                record = records.get(entry[1])
                if record is not None and matches(record, status, metadata):
                    if last is not None and len(found) == limit:
                        return Page(tuple(found), write_cursor(*last))
                    found.append(record)
                scanned, last = scanned + 1, entry
        return Page(tuple(found), None)

    def extend(self, record: FitRecord) -> None:
        """Let a successful fit live for its full time from now."""
        rest = (record.expires_at or math.inf) - time.time()
        # Our own clock will do to spare the server most of the calls; the script asks the server's.
        if rest < self._settings.result_ttl - self._settings.extend_interval / 2:
            self._scripts.run("extend", record.id, record.tenant)

    def delete(self, fit_id: str) -> bool:
        """Remove a fit with all its data."""
        record = self.get(fit_id)
        return record is not None and self._scripts.run("delete", fit_id, record.tenant) == 1

    def delete_many(self, fit_ids: Sequence[str], tenant: str) -> None:
        """Remove many fits of a tenant."""
        self._run_for_many("delete", fit_ids, tenant)

    def request_cancel(self, fit_id: str) -> FitRecord | None:
        """Cancel a queued fit at once and ask a running one to stop."""
        record = self.get(fit_id)
        if record is None:
            return None
        self._scripts.run("cancel", fit_id, record.tenant)
        return self.get(fit_id)

    def cancel_many(self, fit_ids: Sequence[str], tenant: str) -> None:
        """Cancel many fits of a tenant."""
        self._run_for_many("cancel", fit_ids, tenant)

    def claim(self, fit_id: str, worker: str, lease_seconds: float) -> Claim | None:
        """Take a fit that is queued, or whose worker's lease is dead."""
        record = self.get(fit_id)
        if record is None:
            return None
        taken = self._scripts.run("claim", fit_id, record.tenant, worker, lease_seconds)
        if taken is None:
            return None
        fence, attempt, waited, resumes, deferred = taken
        flags = bool(resumes), bool(deferred)
        return Claim(fit_id, record.tenant, worker, fence.decode(), attempt, float(waited), *flags)

    def take(self, fit_id: str, queue: str, worker: str, lease_seconds: float) -> Claim | None:
        """Take a fit in exchange for a message."""
        record = self.get(fit_id)
        if record is not None and record.status in (FitStatus.RUNNING, FitStatus.CANCELLING):
            claim = self.claim(fit_id, worker, lease_seconds)
            if claim is not None:
                return claim
        for _ in range(_RIVALS):
            with translated():
                found = cast(bytes | None, self._next(keys=[self._keys.waiting], args=[queue]))
            if found is None:
                return None
            # Another worker may be faster, and one that has had its attempts fails.
            claim = self.claim(found.decode(), worker, lease_seconds)
            if claim is not None:
                return claim
        return None

    def renew(self, claim: Claim, lease_seconds: float) -> Lease:
        """Prolong a lease."""
        held, cancel = self._scripts.run("renew", claim.fit_id, claim.tenant, claim.fence, lease_seconds)
        return Lease(bool(held), bool(cancel))

    def progress(self, claim: Claim, progress: Progress) -> Lease:
        """Note how far the fit is."""
        held, cancel = self._scripts.run(
            "progress", claim.fit_id, claim.tenant, claim.fence, progress_to_json(progress), progress.phase
        )
        return Lease(bool(held), bool(cancel))

    def save_checkpoint(self, claim: Claim, data: bytes) -> bool:
        """Keep what another worker needs to go on with the fit."""
        blob = self._keys.blob(claim.fit_id)
        self._segments.refuse_if_full(len(data))
        manifest = self._segments.upload(blob, data)
        kept = self._scripts.run(
            "checkpoint", claim.fit_id, claim.tenant, claim.fence, orjson.dumps(manifest)
        )
        if not kept:
            self._segments.discard(blob, manifest)
        return bool(kept)

    def checkpoint(self, claim: Claim) -> bytes | None:
        """Give what was kept last."""
        key = self._keys.record(claim.fit_id)
        with translated():
            fence, manifest = cast(
                list_[bytes | None], read(self._redis, "HMGET", key, "fence", "checkpoint")
            )
        if manifest is None or fence != claim.fence.encode():
            return None
        return self._segments.download(self._keys.blob(claim.fit_id), orjson.loads(manifest))

    def hand_back(self, claim: Claim, *, slow: bool = False) -> FitRecord | None:
        """Give up a claim of one's own accord."""
        queue = QUEUES[-1] if slow else ""
        waits = self._scripts.run("hand_back", claim.fit_id, claim.tenant, claim.fence, queue)
        return self.get(claim.fit_id) if waits else None

    def finish(self, claim: Claim, result: Result, artifacts: Mapping[str, bytes]) -> bool:
        """Publish a success with its artifacts, all at once."""
        fields = {"outcome": result_to_json(result)}
        return self._conclude(claim, FitStatus.SUCCEEDED, self._settings.result_ttl, fields, artifacts)

    def fail(self, claim: Claim, failure: Failure) -> bool:
        """Publish a failure."""
        fields = {"failure": failure_to_json(failure)}
        return self._conclude(claim, FitStatus.FAILED, self._settings.unsuccessful_ttl, fields, {})

    def cancelled(
        self, claim: Claim, result: Result | None = None, artifacts: Mapping[str, bytes] | None = None
    ) -> bool:
        """Publish a cancellation, with the draws so far when there are any."""
        fields = {} if result is None else {"outcome": result_to_json(result)}
        ttl = self._settings.unsuccessful_ttl
        return self._conclude(claim, FitStatus.CANCELLED, ttl, fields, artifacts or {})

    def events(self, fit_id: str, after: str | None = None) -> tuple[Event, ...]:
        """Give a fit's events in order."""
        start = "-" if after is None else f"({after}"
        with translated():
            entries = cast(list_[Any], read(self._redis, "XRANGE", self._keys.events(fit_id), start, "+"))
        return tuple(event_from_entry(entry_id, fields) for entry_id, fields in entries)

    def follow(self, after: Mapping[str, str], wait_seconds: float) -> dict[str, tuple[Event, ...]]:
        """Wait for new events of many fits at once."""
        fits = {self._keys.events(fit_id).encode(): fit_id for fit_id in after}
        positions: dict[Any, Any] = {key: after[fit_id] for key, fit_id in fits.items()}
        # A client of its own: the socket must outwait the block.
        client = connect(self._settings, wait_seconds + self._settings.socket_timeout)
        with translated(), client:
            answer = client.xread(positions, block=max(1, int(wait_seconds * 1000)))
        streams = cast(list_[Any], answer.items() if isinstance(answer, dict) else answer or [])
        return {
            fits[key]: tuple(event_from_entry(*entry) for entry in _entries(found)) for key, found in streams
        }

    def beat(self, worker: WorkerState, ttl: float) -> None:
        """Say that a worker is alive for `ttl` seconds more."""
        keys = [self._keys.workers, self._keys.worker(worker.id)]
        with translated():
            self._beat(keys=keys, args=[worker.id, worker_to_json(worker), ttl])

    def workers(self) -> tuple[WorkerState, ...]:
        """Give the workers that are alive, by id."""
        with translated():
            ids = cast(list_[bytes], self._redis.zrange(self._keys.workers, 0, -1))
            beats = self._redis.mget([self._keys.worker(worker.decode()) for worker in ids]) if ids else []
        alive = [worker_from_json(beat) for beat in cast(list_[bytes | None], beats) if beat is not None]
        return tuple(sorted(alive, key=lambda worker: worker.id))

    def queues(self) -> Mapping[str, QueueState]:
        """Tell what waits, by queue."""
        with translated(), self._redis.pipeline(transaction=True) as pipe:
            pipe.time()
            for queue in QUEUES:
                pipe.zcard(f"{self._keys.waiting}:{queue}")
                pipe.zrange(f"{self._keys.waiting}:{queue}", 0, 0, withscores=True)
            (seconds, microseconds), *found = pipe.execute()
        now = seconds + microseconds / 1e6
        return {
            queue: QueueState(depth, max(0.0, now - float(first[0][1])) if first else 0.0)
            for queue, depth, first in zip(QUEUES, found[::2], found[1::2], strict=True)
        }

    def outcomes(self) -> Mapping[tuple[str, str], int]:
        """Count the fits that have ended."""
        with translated():
            counts = cast(dict[bytes, bytes], read(self._redis, "HGETALL", self._keys.outcomes))
        named = ((name.decode().split(" ", 1), int(count)) for name, count in counts.items())
        return {(status, method): count for (status, method), count in named}

    def lead(self, worker: str, ttl: float) -> bool:
        """Become or stay the one worker that reconciles."""
        with translated():
            return bool(self._lead(keys=[self._keys.leader], args=[worker, int(ttl * 1000)]))

    def overdue(self, limit: int = 100) -> tuple[str, ...]:
        """Give ids of fits that nobody takes care of."""
        with translated():
            seconds, microseconds = self._redis.time()
            now = f"{seconds}.{microseconds:06d}"
            fits = self._redis.zrangebyscore(self._keys.due, "-inf", now, start=0, num=limit)
        return tuple(fit_id.decode() for fit_id in cast(list_[bytes], fits))

    def recover(self, fit_id: str) -> FitRecord | None:
        """Put an overdue fit right."""
        record = self.get(fit_id)
        tenant = record.tenant if record is not None else ""
        return self.get(fit_id) if self._scripts.run("recover", fit_id, tenant) == 1 else None

    def ping(self) -> None:
        """Return if the store answers."""
        with translated():
            self._probe(keys=[self._keys.probe])

    def _run_for_many(self, script: str, fit_ids: Sequence[str], tenant: str) -> None:
        with translated(), self._redis.pipeline(transaction=False) as pipe:
            for fit_id in fit_ids:
                self._scripts.send(pipe, script, fit_id, tenant)
            pipe.execute()

    def _conclude(
        self,
        claim: Claim,
        status: FitStatus,
        ttl: float,
        fields: Mapping[str, bytes],
        artifacts: Mapping[str, bytes],
    ) -> bool:
        manifests = {
            name: self._segments.upload(self._keys.blob(claim.fit_id), data)
            for name, data in artifacts.items()
        }
        size = sum(map(len, artifacts.values()))
        named = {**fields, "artifacts": orjson.dumps(manifests)}
        published = self._scripts.run(
            "conclude", claim.fit_id, claim.tenant, claim.fence, status.value, ttl, size, *flat(named)
        )
        if not published:
            for manifest in manifests.values():
                self._segments.discard(self._keys.blob(claim.fit_id), manifest)
        return bool(published)


list_ = list  # `list` is a method of the class above


def _entries(found: Any) -> list[Any]:
    # RESP3 wraps the entries of a stream in one more list.
    return cast(list[Any], found[0] if found and isinstance(found[0], list) else found)
