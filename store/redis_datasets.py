"""Data sets in Redis or Valkey: one hash and some segments of bytes each, all with a time to live."""

from collections.abc import Sequence
from typing import Any, cast

import orjson

from store.base import StoreFull
from store.connection import SCRIPTS, connect, own, pairs, read, read_all, translated
from store.cursors import write_cursor
from store.datasets import DatasetPage, DatasetRecord
from store.keys import Keys
from store.pages import walk
from store.segments import Segments
from store.settings import StoreSettings


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
            return self.get(record.id, record.tenant) or record, False
        self._segments.refuse_if_full(len(payload))
        blob = self._keys.blob(record.id)
        manifest = self._segments.upload(blob, payload)
        outcome = self._keep(record, manifest)
        if outcome != b"new":
            self._segments.discard(blob, manifest)
        if outcome == b"tenant":
            raise StoreFull(f"the budget of {self._settings.dataset_bytes} bytes is spent", scope="tenant")
        return self.get(record.id, record.tenant) or record, outcome == b"new"

    def get(self, dataset_id: str, tenant: str) -> DatasetRecord | None:
        """Give the record of a tenant's data set."""
        (record,) = self._get_many([dataset_id], tenant)
        return record

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
        found: list_[DatasetRecord] = []
        for entries in walk(self._redis, self._keys.tenant_datasets(tenant), cursor, limit + 1):
            for record in self._get_many([dataset_id for _, dataset_id in entries], tenant):
                if record is None:
                    continue
                if len(found) == limit:
                    last = found[-1]
                    return DatasetPage(tuple(found), write_cursor(last.uploaded_at, last.id))
                found.append(record)
        return DatasetPage(tuple(found), None)

    def delete(self, dataset_id: str, tenant: str) -> bool:
        """Remove a tenant's data set."""
        record = self.get(dataset_id, tenant)
        if record is None:
            return False
        with translated():
            args = [dataset_id, self._keys.blob(dataset_id)]
            return bool(self._delete(keys=self._names(record), args=args))

    def _get_many(self, dataset_ids: Sequence[str], tenant: str) -> "list_[DatasetRecord | None]":
        with translated():
            answers = read_all(
                self._redis, [own(self._keys.dataset(dataset_id), tenant) for dataset_id in dataset_ids]
            )
        return [
            _record(dataset_id, pairs(flat)) if flat else None
            for dataset_id, flat in zip(dataset_ids, answers, strict=True)
        ]

    def _keep(self, record: DatasetRecord, manifest: dict[str, Any] | None) -> Any:
        described = orjson.dumps(
            {
                "rows": record.rows,
                "bytes": manifest["bytes"] if manifest else 0,
                "columns": record.columns,
                "reading": record.reading,
                "warnings": record.warnings,
            }
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
        # Records of a version before have neither.
        reading=described.get("reading"),
        warnings=tuple(described.get("warnings", ())),
        uploaded_at=float(fields[b"uploaded_at"]),
        expires_at=float(fields[b"expires_at"]),
    )
