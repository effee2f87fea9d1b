"""Adding fits to the store in Redis or Valkey: their data first, then each record by one script, in few exchanges."""

from collections.abc import Iterator, Mapping, Sequence

import orjson
import redis

from store.base import Creation, QueueFull, StoreFull
from store.connection import translated
from store.fit_scripts import FitScripts
from store.keys import Keys
from store.records import FitRecord
from store.segments import Segments
from store.settings import StoreSettings
from store.wire import flat, record_from_fields, record_to_fields

# What a record, its events and its index entries take beside the payload, roughly.
_RECORD_BYTES = 4096


class NewFits:
    """Adds fits that are not there yet, as far as the caller knows."""

    def __init__(
        self, client: redis.Redis, settings: StoreSettings, scripts: FitScripts, segments: Segments
    ) -> None:
        self._redis = client
        self._settings = settings
        self._keys = Keys(settings.key_prefix)
        self._scripts = scripts
        self._segments = segments

    def create(self, fits: Sequence[tuple[FitRecord, bytes]]) -> Iterator[Creation]:
        """Give what became of each fit in turn: what stands in the way of one stops no other."""
        try:
            self._segments.refuse_if_full(sum(len(payload) for _, payload in fits))
        except StoreFull as error:
            yield from [error] * len(fits)
            return
        blobs = [(self._keys.blob(record.id), payload) for record, payload in fits]
        manifests = self._segments.upload_many(blobs)
        with translated(), self._redis.pipeline(transaction=False) as pipe:
            for (record, payload), manifest in zip(fits, manifests, strict=True):
                args = [orjson.dumps(manifest), len(payload) + _RECORD_BYTES, *flat(record_to_fields(record))]
                self._scripts.send(pipe, "create", record.id, record.tenant, *args)
                pipe.hgetall(self._keys.record(record.id))
            answers = pipe.execute(raise_on_error=False)
        for (record, _), (blob, _), manifest, outcome, stored in zip(
            fits, blobs, manifests, answers[::2], answers[1::2], strict=True
        ):
            if outcome != b"created":
                self._segments.discard(blob, manifest)
            yield self._refusal(outcome) or (
                # Somebody may have deleted it in between; then ours is as new as any.
                record_from_fields(stored) if stored else record,
                outcome == b"created",
            )

    def _refusal(self, outcome: object) -> StoreFull | QueueFull | None:
        settings = self._settings
        if isinstance(outcome, Exception):
            try:
                with translated():
                    raise outcome
            except StoreFull as error:
                return error
        refusals: Mapping[object, StoreFull | QueueFull] = {
            b"queue": QueueFull(f"{settings.max_active} fits are waiting or running already"),
            b"tenant queue": QueueFull(f"{settings.tenant_active} of them are the tenant's", scope="tenant"),
            b"tenant": StoreFull(f"the budget of {settings.tenant_bytes} bytes is spent", scope="tenant"),
            b"full": StoreFull("the store's memory is spent"),
        }
        return refusals.get(outcome)
