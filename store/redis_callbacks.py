"""Callbacks in Redis or Valkey: a hash each, and one sorted set of those that are due.

A fit knows the callbacks that wait for it, and the script that ends it releases them (`callback.lua`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson

from store.callbacks import ACTIVE, BATCH_EVENT, OUTCOMES, Callback, CallbackState, TooManyCallbacks, new_id
from store.connection import SCRIPTS, connect, pairs, read, read_all, translated
from store.keys import Keys
from store.records import QueueState
from store.settings import StoreSettings

_ACTIVE = orjson.dumps(sorted(ACTIVE))
_ALLOW_OOM = "#!lua flags=allow-oom\n"


class RedisCallbacks:
    """Callbacks on the server that the settings name; see `store.callbacks.Callbacks` for what the methods do."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.key_prefix)
        self._redis = connect(settings, settings.socket_timeout)
        shared, register, take, settle = (
            (SCRIPTS / f"{name}.lua").read_text()
            for name in ("callback", "callback_register", "callback_take", "callback_settle")
        )
        # A server without room takes no new ones, but what it has taken is delivered.
        self._register = self._redis.register_script(shared + register)
        self._take = self._redis.register_script(_ALLOW_OOM + shared + take)
        self._settle = self._redis.register_script(_ALLOW_OOM + shared + settle)

    def register(
        self, subject: str, tenant: str, url: str, events: Sequence[str], fits: Sequence[str]
    ) -> Callback:
        """Have a message sent when the last of some fits has ended."""
        message = new_id()
        fields: dict[str, str | bytes] = {
            "id": message,
            "tenant": tenant,
            "subject": subject,
            "url": url,
            "events": orjson.dumps(list(events)),
        }
        if BATCH_EVENT in events:
            fields["event"] = BATCH_EVENT
        given = [part for pair in fields.items() for part in pair]
        watched = [name for fit in fits for name in (self._keys.record(fit), self._keys.watchers(fit))]
        settings = self._settings
        kept = settings.open_callbacks, settings.kept_callbacks
        with translated():
            name = self._register(
                keys=[self._keys.callback(message), self._keys.callbacks(subject), self._keys.outbox],
                args=[settings.callback_ttl, *kept, _ACTIVE, len(given), *given, *watched],
            )
            if name is None:
                raise TooManyCallbacks(f"{subject} has {settings.open_callbacks} callbacks already")
            known = cast(dict[bytes, bytes], read(self._redis, "HGETALL", cast(bytes, name)))
        return _callback(known)

    def of(self, subject: str) -> tuple[Callback, ...]:
        """Give the callbacks of a fit or batch."""
        with translated():
            names = cast(list[bytes], read(self._redis, "ZRANGE", self._keys.callbacks(subject), 0, -1))
            found = read_all(self._redis, [("HGETALL", name) for name in names])
        return tuple(_callback(fields) for fields in found if fields)

    def take(self, lease: float) -> Callback | None:
        """Give one that is due."""
        with translated():
            fields = pairs(
                cast(
                    list[bytes],
                    self._take(keys=[self._keys.outbox], args=[lease, self._settings.callback_ttl]),
                )
            )
        return _callback(fields) if fields else None

    def settle(self, taken: Callback, state: CallbackState, retry_in: float | None = None) -> bool:
        """Note how an attempt ended."""
        noted = {"status": taken.status, "error": taken.error}
        fields = [part for pair in noted.items() if pair[1] is not None for part in pair]
        names = [self._keys.callback(taken.id), self._keys.outbox, self._keys.callback_outcomes]
        ttls = [self._settings.callback_ttl, self._settings.outcomes_ttl]
        again = "" if retry_in is None else retry_in
        args: list[Any] = [taken.attempts, state.value, OUTCOMES[state], again, *ttls, *fields]
        with translated():
            return bool(self._settle(keys=names, args=args))

    def backlog(self) -> QueueState:
        """Tell how many are due."""
        with translated(), self._redis.pipeline(transaction=True) as pipe:
            pipe.time()
            pipe.zcard(self._keys.outbox)
            pipe.zrange(self._keys.outbox, 0, 0, withscores=True)
            (seconds, microseconds), depth, first = pipe.execute()
        age = seconds + microseconds / 1e6 - float(first[0][1]) if first else 0.0
        return QueueState(depth, max(0.0, age))

    def outcomes(self) -> Mapping[str, int]:
        """Count how attempts ended."""
        with translated():
            counts = cast(dict[bytes, bytes], read(self._redis, "HGETALL", self._keys.callback_outcomes))
        return {outcome.decode(): int(count) for outcome, count in counts.items()}


def _callback(fields: Mapping[bytes, bytes]) -> Callback:
    texts = {name: fields[name].decode() for name in (b"event", b"status", b"error") if name in fields}
    return Callback(
        id=fields[b"id"].decode(),
        tenant=fields[b"tenant"].decode(),
        subject=fields[b"subject"].decode(),
        url=fields[b"url"].decode(),
        events=tuple(orjson.loads(fields[b"events"])),
        state=CallbackState(fields[b"state"].decode()),
        event=texts.get(b"event"),
        created_at=float(fields[b"created_at"]),
        happened_at=_time(fields, b"happened_at"),
        attempts=int(fields[b"attempts"]),
        attempted_at=_time(fields, b"attempted_at"),
        due_at=_time(fields, b"due_at"),
        status=int(texts[b"status"]) if b"status" in texts else None,
        error=texts.get(b"error"),
    )


def _time(fields: Mapping[bytes, bytes], name: bytes) -> float | None:
    return float(fields[name]) if name in fields else None
