"""Batches in Redis or Valkey: a hash, a tally and an order each, which the scripts about fits keep up."""

from collections import Counter
from collections.abc import Sequence
from typing import cast

import orjson
import redis

from store.batches import (
    ACTIVE,
    BatchPage,
    BatchRecord,
    Ended,
    Member,
    Refused,
    no_room,
    refusals,
    write_members,
)
from store.connection import SCRIPTS, Command, connect, own, pairs, read, read_all, translated
from store.cursors import write_cursor
from store.keys import Keys
from store.pages import walk
from store.segments import Segments
from store.settings import StoreSettings
from store.wire import flat

# Fits that one script lets join: the server does nothing else meanwhile.
_JOINED_AT_ONCE = 100


class RedisBatches:
    """Batches on the server that the settings name; see `store.batches.Batches` for what the methods do."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._ttl = settings.result_ttl
        self._keys = Keys(settings.key_prefix)
        self._redis = connect(settings, settings.socket_timeout)
        self._segments = Segments(self._redis, settings)
        self._join = self._redis.register_script((SCRIPTS / "batch_join.lua").read_text())
        self._create = self._redis.register_script((SCRIPTS / "batch_create.lua").read_text())
        self._delete = self._redis.register_script((SCRIPTS / "batch_delete.lua").read_text())

    def create(self, batch_id: str, tenant: str, members: Sequence[Member]) -> BatchRecord:
        """Keep a batch."""
        existing = self.get(batch_id, tenant)
        if existing is not None:
            return existing
        written = write_members(members)
        self._segments.refuse_if_full(len(written))
        manifest = self._segments.upload(self._keys.blob(batch_id), written, self._ttl)
        fits = Counter(member.fit_id for member in members if member.fit_id is not None)
        fields: dict[str, str | bytes] = {
            "tenant": tenant,
            "size": str(len(members)),
            "refused": orjson.dumps(list(refusals(members))),
            "members": orjson.dumps(manifest),
        }
        settled: list_[str | float] = [
            batch_id,
            self._ttl,
            len(written),
            self._settings.batch_bytes,
            len(members) - fits.total(),
        ]
        with translated(), self._redis.pipeline(transaction=False) as pipe:
            # Who was to keep it before may have died in the middle.
            pipe.unlink(self._keys.batch_tally(batch_id), self._keys.batch_order(batch_id))
            # The batch comes last, so that it is never seen without its members.
            joining = tuple(fits.items())
            for start in range(0, len(joining), _JOINED_AT_ONCE):
                self._send_join(pipe, batch_id, joining[start : start + _JOINED_AT_ONCE])
            self._create(keys=self._names(batch_id, tenant), args=[*settled, *flat(fields)], client=pipe)
            for command in self._reading(batch_id, tenant):
                pipe.execute_command(*command)  # type: ignore[no-untyped-call]
            *_, outcome, found, counts = pipe.execute()
        if outcome == b"tenant":
            self._segments.discard(self._keys.blob(batch_id), manifest)
            raise no_room(self._settings)
        return _record(pairs(found), counts)

    def get(self, batch_id: str, tenant: str) -> BatchRecord | None:
        """Give a tenant's batch."""
        (record,) = self._get_many([batch_id], tenant)
        return record

    def members(self, batch_id: str) -> tuple[Member, ...]:
        """Give a batch's members."""
        with translated():
            manifest = cast(bytes | None, read(self._redis, "HGET", self._keys.batch(batch_id), "members"))
        if manifest is None:
            return ()
        written = self._segments.download(self._keys.blob(batch_id), orjson.loads(manifest))
        return tuple(Member(**member) for member in orjson.loads(written or b"[]"))

    def ended(self, batch_id: str, after: int = 0) -> tuple[Ended, ...]:
        """Give the fits that have ended."""
        with translated():
            # The first entry stands for none, see batch_join.lua.
            found = read(self._redis, "LRANGE", self._keys.batch_order(batch_id), after + 1, -1)
        return tuple(Ended(*entry.decode().split(" ")) for entry in cast(list_[bytes], found))

    def list(self, tenant: str, *, limit: int = 20, cursor: str | None = None) -> BatchPage:
        """Give a page of the tenant's batches."""
        found: list_[BatchRecord] = []
        for entries in walk(self._redis, self._keys.tenant_batches(tenant), cursor, limit + 1):
            for record in self._get_many([batch_id for _, batch_id in entries], tenant):
                if record is None:
                    continue
                if len(found) == limit:
                    last = found[-1]
                    return BatchPage(tuple(found), write_cursor(last.created_at, last.id))
                found.append(record)
        return BatchPage(tuple(found), None)

    def delete(self, batch_id: str, tenant: str) -> bool:
        """Remove a tenant's batch."""
        with translated():
            fields = pairs(cast(list_[bytes], read(self._redis, *own(self._keys.batch(batch_id), tenant))))
            if not fields:
                return False
            deleted = self._delete(keys=self._names(batch_id, tenant), args=[batch_id])
        self._segments.discard(self._keys.blob(batch_id), orjson.loads(fields[b"members"]))
        return bool(deleted)

    def _send_join(self, pipe: redis.Redis, batch_id: str, fits: Sequence[tuple[str, int]]) -> None:
        keys = self._keys
        active = orjson.dumps(sorted(ACTIVE))
        args: list_[str | bytes | int] = [int(self._ttl * 1000), keys.batch(batch_id), active]
        for fit_id, count in fits:
            args += [fit_id, keys.record(fit_id), keys.places(fit_id), count]
        self._join(keys=[keys.batch_tally(batch_id), keys.batch_order(batch_id)], args=args, client=pipe)

    def _names(self, batch_id: str, tenant: str) -> "list_[str]":
        keys = self._keys
        return [
            keys.batch(batch_id),
            keys.batch_tally(batch_id),
            keys.batch_order(batch_id),
            keys.tenant_batches(tenant),
            keys.tenant_batch_bytes(tenant),
        ]

    def _get_many(self, batch_ids: Sequence[str], tenant: str) -> "list_[BatchRecord | None]":
        commands = [command for batch_id in batch_ids for command in self._reading(batch_id, tenant)]
        with translated():
            answers = read_all(self._redis, commands)
        return [
            _record(pairs(fields), counts) if fields else None
            for fields, counts in zip(answers[::2], answers[1::2], strict=True)
        ]

    def _reading(self, batch_id: str, tenant: str) -> tuple[Command, Command]:
        return own(self._keys.batch(batch_id), tenant), ("HGETALL", self._keys.batch_tally(batch_id))


list_ = list  # `list` is a method of the class above


def _record(fields: dict[bytes, bytes], counts: dict[bytes, bytes]) -> BatchRecord:
    return BatchRecord(
        id=fields[b"id"].decode(),
        tenant=fields[b"tenant"].decode(),
        size=int(fields[b"size"]),
        refused=tuple(Refused(**one) for one in orjson.loads(fields[b"refused"])),
        counts=_counts(counts),
        created_at=float(fields[b"created_at"]),
        expires_at=float(fields[b"expires_at"]),
    )


def _counts(tally: dict[bytes, bytes]) -> dict[str, int]:
    return {status.decode(): int(count) for status, count in tally.items() if int(count) > 0}
