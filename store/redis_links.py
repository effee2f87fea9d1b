"""Signed links in Redis or Valkey: one hash each, and a sorted set of a tenant's, all with a time to live."""

from collections.abc import Sequence
from typing import Any, cast

import orjson

from store.connection import SCRIPTS, connect, own, pairs, read, read_all, translated
from store.cursors import write_cursor
from store.keys import Keys
from store.links import LinkPage, LinkRecord, TooManyLinks
from store.pages import walk
from store.settings import StoreSettings


class RedisLinks:
    """Links on the server that the settings name; see `store.links.Links` for what the methods do."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.key_prefix)
        self._redis = connect(settings, settings.socket_timeout)
        self._put = self._redis.register_script((SCRIPTS / "link_put.lua").read_text())
        self._delete = self._redis.register_script((SCRIPTS / "link_delete.lua").read_text())

    def put(self, record: LinkRecord, lifetime: float) -> LinkRecord:
        """Keep a link."""
        args: list_[Any] = [record.id, lifetime, self._settings.tenant_links, self._keys.link("")]
        args += ["tenant", record.tenant, "digest", record.digest, "key", record.key]
        args += ["paths", orjson.dumps(record.paths)]
        with translated():
            fields = self._put(keys=self._names(record.id, record.tenant), args=args)
        if not fields:
            raise TooManyLinks(f"a tenant may have {self._settings.tenant_links} links at a time")
        return _record(record.id, pairs(cast(list_[bytes], fields)))

    def get(self, link_id: str, tenant: str | None = None) -> LinkRecord | None:
        """Give a link that has not expired."""
        if tenant is not None:
            (record,) = self._get_many([link_id], tenant)
            return record
        with translated():
            fields = cast(dict[bytes, bytes], read(self._redis, "HGETALL", self._keys.link(link_id)))
        return _record(link_id, fields) if fields else None

    def list(self, tenant: str, *, limit: int = 20, cursor: str | None = None) -> LinkPage:
        """Give a page of the tenant's links."""
        found: list_[LinkRecord] = []
        for entries in walk(self._redis, self._keys.tenant_links(tenant), cursor, limit + 1):
            for record in self._get_many([link_id for _, link_id in entries], tenant):
                if record is None:
                    continue
                if len(found) == limit:
                    last = found[-1]
                    return LinkPage(tuple(found), write_cursor(last.created_at, last.id))
                found.append(record)
        return LinkPage(tuple(found), None)

    def delete(self, link_id: str, tenant: str) -> bool:
        """Revoke a tenant's link."""
        with translated():
            return bool(self._delete(keys=self._names(link_id, tenant), args=[link_id, tenant]))

    def _get_many(self, link_ids: Sequence[str], tenant: str) -> "list_[LinkRecord | None]":
        with translated():
            answers = read_all(self._redis, [own(self._keys.link(link_id), tenant) for link_id in link_ids])
        return [
            _record(link_id, pairs(flat)) if flat else None
            for link_id, flat in zip(link_ids, answers, strict=True)
        ]

    def _names(self, link_id: str, tenant: str) -> "list_[str]":
        return [self._keys.link(link_id), self._keys.tenant_links(tenant)]


list_ = list  # `list` is a method of the class above


def _record(link_id: str, fields: dict[bytes, bytes]) -> LinkRecord:
    return LinkRecord(
        id=link_id,
        tenant=fields[b"tenant"].decode(),
        digest=fields[b"digest"].decode(),
        key=fields[b"key"].decode(),
        paths=tuple(orjson.loads(fields[b"paths"])),
        created_at=float(fields[b"created_at"]),
        expires_at=float(fields[b"expires_at"]),
    )
