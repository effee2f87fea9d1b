"""Batches in Redis or Valkey: a hash, a tally and an order each, which the scripts about fits keep up."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

import orjson

from store.batches import (
    ACTIVE,
    BatchPage,
    BatchRecord,
    Ended,
    Member,
    Refused,
    refusals,
)
from store.connection import SCRIPTS, Command, connect, own, pairs, read, read_all, translated
from store.cursors import write_cursor
from store.keys import Keys
from store.pages import walk
from store.segments import Segments
from store.settings import StoreSettings

# Fits that one script lets join: the server does nothing else meanwhile.
_JOINED_AT_ONCE = 100


class RedisBatches:
    """Batches on the server that the settings name; see `store.batches.Batches` for what the methods do."""

    def __init__(self, settings: StoreSettings) -> None:
        self._ttl = settings.result_ttl
        self._keys = Keys(settings.key_prefix)
        self._redis = connect(settings, settings.socket_timeout)
        self._segments = Segments(self._redis, settings)
        self._join = self._redis.register_script((SCRIPTS / "batch_join.lua").read_text())
        self._create = self._redis.register_script((SCRIPTS / "batch_create.lua").read_text())

    def create(self, batch_id: str, tenant: str, members: Sequence[Member]) -> BatchRecord:
        """Keep a batch."""
        written = orjson.dumps([asdict(member) for member in members])
        self._segments.refuse_if_full(len(written))
        manifest = self._segments.upload(self._keys.blob(batch_id), written, self._ttl)
        rejected = sum(member.fit_id is None for member in members)
        fits = Counter(member.fit_id for member in members if member.fit_id is not None)
        tally, order = self._keys.batch_tally(batch_id), self._keys.batch_order(batch_id)
        batch = self._keys.batch(batch_id)
        fields: dict[str, str | bytes | int] = {
            "tenant": tenant,
            "size": len(members),
            "refused": orjson.dumps([asdict(one) for one in refusals(members)]),
            "members": orjson.dumps(manifest),
        }
        with translated(), self._redis.pipeline(transaction=False) as pipe:
            # The batch comes last, so that it is never seen without its members.
            joining = tuple(fits.items())
            for start in range(0, len(joining), _JOINED_AT_ONCE):
                args: list_[str | bytes | int] = [int(self._ttl * 1000), batch, orjson.dumps(sorted(ACTIVE))]
                for fit_id, count in joining[start : start + _JOINED_AT_ONCE]:
                    args += [fit_id, self._keys.record(fit_id), self._keys.places(fit_id), count]
                self._join(keys=[tally, order], args=args, client=pipe)
            flat = [part for pair in fields.items() for part in pair]
            names = [batch, tally, self._keys.tenant_batches(tenant)]
            self._create(keys=names, args=[batch_id, self._ttl, rejected, *flat], client=pipe)
            for command in self._reading(batch_id, tenant):
                pipe.execute_command(*command)  # type: ignore[no-untyped-call]
            *_, flat, counts = pipe.execute()
        return _record(pairs(flat), counts)

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

    def delete(self, batch_id: str) -> bool:
        """Remove a batch."""
        with translated():
            known = cast(
                list_[bytes | None],
                read(self._redis, "HMGET", self._keys.batch(batch_id), "tenant", "members"),
            )
            tenant, manifest = known
            if tenant is None or manifest is None:
                return False
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.unlink(self._keys.batch(batch_id))
                pipe.unlink(self._keys.batch_tally(batch_id), self._keys.batch_order(batch_id))
                pipe.zrem(self._keys.tenant_batches(tenant.decode()), batch_id)
                removed, *_ = pipe.execute()
        self._segments.discard(self._keys.blob(batch_id), orjson.loads(manifest))
        return bool(removed)

    def _get_many(self, batch_ids: Sequence[str], tenant: str) -> "list_[BatchRecord | None]":
        commands = [command for batch_id in batch_ids for command in self._reading(batch_id, tenant)]
        with translated():
            answers = read_all(self._redis, commands)
        return [
            _record(pairs(flat), counts) if flat else None
            for flat, counts in zip(answers[::2], answers[1::2], strict=True)
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
