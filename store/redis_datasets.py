"""Data sets in Redis or Valkey: one hash and some segments of bytes each, all with a time to live."""

from pathlib import Path
from typing import Any, cast

import orjson

from store.base import StoreFull
from store.connection import connect, read, translated
from store.cursors import read_cursor, write_cursor
from store.datasets import DatasetPage, DatasetRecord
from store.keys import Keys
from store.segments import Segments
from store.settings import StoreSettings

SCRIPTS = Path(__file__).parent / "scripts"


class RedisDatasets:
    """Data sets on the server that the settings name; see `store.datasets.Datasets` for what the methods do."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.key_prefix)
        self._redis = connect(settings, settings.socket_timeout)
        self._segments = Segments(self._redis, settings)
        self._put = self._redis.register_script((SCRIPTS / "dataset_put.lua").read_text())
        self._delete = self._redis.register_script((SCRIPTS / "dataset_delete.lua").read_text())

    def put(self, record: DatasetRecord, payload: bytes) -> tuple[DatasetRecord, bool]:
        """Keep a data set."""
        if self._keep(record, None) == b"kept":
            return self.get(record.id) or record, False
        self._segments.refuse_if_full(len(payload))
        blob = self._keys.blob(record.id)
        manifest = self._segments.upload(blob, payload)
        outcome = self._keep(record, manifest)
        if outcome != b"new":
            self._segments.discard(blob, manifest)
        if outcome == b"tenant":
            raise StoreFull(f"the budget of {self._settings.dataset_bytes} bytes is spent", scope="tenant")
        return self.get(record.id) or record, outcome == b"new"

    def get(self, dataset_id: str) -> DatasetRecord | None:
        """Give a data set's record."""
        with translated():
            found = cast(dict[bytes, bytes], read(self._redis, "HGETALL", self._keys.dataset(dataset_id)))
        return _record(dataset_id, found) if found else None

    def payload(self, dataset_id: str) -> bytes | None:
        """Give what `put` was given."""
        with translated():
            manifest = cast(
                bytes | None, read(self._redis, "HGET", self._keys.dataset(dataset_id), "manifest")
            )
        if manifest is None:
            return None
        return self._segments.download(self._keys.blob(dataset_id), orjson.loads(manifest))

    def list(self, tenant: str, *, limit: int = 20, cursor: str | None = None) -> DatasetPage:
        """Give a page of the tenant's data sets."""
        last = read_cursor(cursor) if cursor is not None else None
        found: list_[DatasetRecord] = []
        while True:
            ceiling = "+inf" if last is None else f"{last[0]:.6f}"
            with translated():
                rows = self._redis.zrevrangebyscore(
                    self._keys.tenant_datasets(tenant),
                    ceiling,
                    "-inf",
                    start=0,
                    num=limit + 50,
                    withscores=True,
                )
            entries = [(float(score), member.decode()) for member, score in cast(list_[Any], rows)]
            fresh = [entry for entry in entries if last is None or entry < last]
            if not fresh:
                return DatasetPage(tuple(found), None)
            for entry in fresh:
                if (record := self.get(entry[1])) is None:
                    continue
                if len(found) == limit:
                    final = found[-1]
                    return DatasetPage(tuple(found), write_cursor(final.uploaded_at, final.id))
                found.append(record)
            last = fresh[-1]

    def delete(self, dataset_id: str) -> bool:
        """Remove a data set."""
        record = self.get(dataset_id)
        if record is None:
            return False
        with translated():
            args = [dataset_id, self._keys.blob(dataset_id)]
            return bool(self._delete(keys=self._names(record), args=args))

    def _keep(self, record: DatasetRecord, manifest: dict[str, Any] | None) -> Any:
        described = orjson.dumps(
            {"rows": record.rows, "bytes": manifest["bytes"] if manifest else 0, "columns": record.columns}
        )
        args: list_[str | bytes | float] = [
            record.id,
            self._settings.dataset_ttl,
            self._settings.dataset_bytes,
            self._keys.blob(record.id),
            orjson.dumps(manifest) if manifest else "",
            "tenant",
            record.tenant,
            "described",
            described,
        ]
        with translated():
            return self._put(keys=self._names(record), args=args)

    def _names(self, record: DatasetRecord) -> "list_[str]":
        keys = self._keys
        return [
            keys.dataset(record.id),
            keys.tenant_datasets(record.tenant),
            keys.tenant_dataset_bytes(record.tenant),
        ]


list_ = list  # `list` is a method of the class above


def _record(dataset_id: str, fields: dict[bytes, bytes]) -> DatasetRecord:
    described = orjson.loads(fields[b"described"])
    return DatasetRecord(
        id=dataset_id,
        tenant=fields[b"tenant"].decode(),
        rows=described["rows"],
        bytes=described["bytes"],
        columns=tuple(described["columns"]),
        uploaded_at=float(fields[b"uploaded_at"]),
        expires_at=float(fields[b"expires_at"]),
    )
