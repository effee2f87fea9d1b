"""Signed links, by which whoever has one may read some addresses of a tenant: their interface, and the twin in memory.

Only the hash of a link's token is stored, so that whoever reads the store learns no link.
"""

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from model.errors import RanefError
from store.cursors import read_cursor, write_cursor
from store.settings import StoreSettings


@dataclass(frozen=True, slots=True)
class LinkRecord:
    """Everything about a link but its token; times are unix seconds by the store's clock."""

    id: str
    tenant: str
    digest: str
    """SHA-256 of the token, in hexadecimal digits."""
    key: str
    """The same of the key that made the link, which does not outlive it; empty where there are no keys."""
    paths: tuple[str, ...]
    """What may be read; a path that ends in `/*` stands for all beneath it."""
    created_at: float = 0.0
    expires_at: float = 0.0

    def opened_by(self, token: str) -> bool:
        """Tell in constant time whether a token is the link's own."""
        return hmac.compare_digest(self.digest, digest_of(token))

    def leads_to(self, path: str) -> bool:
        """Tell whether a path is among those that may be read."""
        return any(path.startswith(own[:-1]) if own.endswith("/*") else path == own for own in self.paths)


class TooManyLinks(RanefError):
    """The tenant has as many links as one may have at a time."""


@dataclass(frozen=True, slots=True)
class LinkPage:
    """Some links of a tenant, the last made first, and where the next page starts (None: nowhere)."""

    records: tuple[LinkRecord, ...]
    next_cursor: str | None


def digest_of(token: str) -> str:
    """Hash a token; it has 256 random bits, so a fast hash is as good as a slow one."""
    return hashlib.sha256(token.encode()).hexdigest()


def link_id(token: str) -> str:
    """Name the link of a token: `lnk_` and 26 characters (130 bits) of base32, from which no token follows."""
    digest = hashlib.sha256(b"link\0" + token.encode()).digest()
    return "lnk_" + base64.b32encode(digest).decode().lower()[:26]


class Links(Protocol):
    """Links by id; every method may raise StoreUnavailable."""

    def put(self, record: LinkRecord, lifetime: float) -> LinkRecord:
        """Keep a link for `lifetime` seconds; gives it with its times. Raises TooManyLinks and StoreFull."""
        ...

    def get(self, link_id: str, tenant: str | None = None) -> LinkRecord | None:
        """Give a link that has not expired; None if there is none, or if it is not the tenant's."""
        ...

    def list(self, tenant: str, *, limit: int = 20, cursor: str | None = None) -> LinkPage:
        """Give a page of the tenant's links, the last made first; raises InvalidCursor."""
        ...

    def delete(self, link_id: str, tenant: str) -> bool:
        """Revoke a tenant's link: from now on no process of the service takes it."""
        ...


class MemoryLinks:
    """Links in the memory of one process."""

    def __init__(self, settings: StoreSettings | None = None, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings or StoreSettings()
        # Microseconds, as on a server; cursors hold no more.
        self._clock: Callable[[], float] = lambda: round(clock(), 6)
        self._kept: dict[str, LinkRecord] = {}
        self._lock = threading.RLock()

    def put(self, record: LinkRecord, lifetime: float) -> LinkRecord:
        """Keep a link."""
        with self._lock:
            now = self._clock()
            if len(self._own(record.tenant)) >= self._settings.tenant_links:
                raise TooManyLinks(f"a tenant may have {self._settings.tenant_links} links at a time")
            kept = replace(record, created_at=now, expires_at=now + lifetime)
            self._kept[record.id] = kept
            return kept

    def get(self, link_id: str, tenant: str | None = None) -> LinkRecord | None:
        """Give a link that has not expired."""
        with self._lock:
            self._forget_expired()
            found = self._kept.get(link_id)
            return found if found and tenant in (None, found.tenant) else None

    def list(self, tenant: str, *, limit: int = 20, cursor: str | None = None) -> LinkPage:
        """Give a page of the tenant's links."""
        last = read_cursor(cursor) if cursor is not None else None
        with self._lock:
            own = self._own(tenant)
        wanted = sorted((r for r in own if last is None or _age(r) < last), key=_age, reverse=True)
        page = wanted[:limit]
        return LinkPage(tuple(page), write_cursor(*_age(page[-1])) if len(wanted) > limit else None)

    def delete(self, link_id: str, tenant: str) -> bool:
        """Revoke a tenant's link."""
        with self._lock:
            return self.get(link_id, tenant) is not None and self._kept.pop(link_id, None) is not None

    def _own(self, tenant: str) -> "list_[LinkRecord]":
        self._forget_expired()
        return [record for record in self._kept.values() if record.tenant == tenant]

    def _forget_expired(self) -> None:
        now = self._clock()
        self._kept = {key: kept for key, kept in self._kept.items() if kept.expires_at > now}


list_ = list  # `list` is a method of the class above


def _age(record: LinkRecord) -> tuple[float, str]:
    return record.created_at, record.id
