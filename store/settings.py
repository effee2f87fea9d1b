"""The settings both sides share: where the store is, and every budget, timeout and time to live.

Each is read from the environment: `REDIS_URL`, the others with the prefix `RANEF_` (`RANEF_RESULT_TTL`).
"""

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MEBIBYTE = 1 << 20
HOUR = 3600.0
DAY = 24 * HOUR


def split(value: Any) -> Any:
    """Take a text apart that stands for a list: values between commas, or JSON."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            raise ValueError("it begins like JSON, but is none; values are separated by commas") from None
    return [part.strip() for part in value.split(",") if part.strip()]


Separated = (NoDecode, BeforeValidator(split))
"""How a setting of several values is written: with commas between them, or as JSON."""

_OURS = ("v1", "docs", "openapi.json", "problems", "livez", "readyz", "metrics")


def _root_path(path: str) -> str:
    path = path.rstrip("/")
    if path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path):
        raise ValueError("a path such as /stats: a slash, and letters, digits and . _ ~ -")
    if path.split("/")[1:2] and path.split("/")[1] in _OURS:
        raise ValueError("it cannot begin like an address of the service's own")
    return path


RootPath = Annotated[str, AfterValidator(_root_path)]


class StoreSettings(BaseSettings):
    """The store's and the queue's settings; times in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(
        env_prefix="RANEF_", frozen=True, populate_by_name=True, extra="ignore", env_ignore_empty=True
    )

    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        validation_alias=AliasChoices("REDIS_URL", "redis_url"),
        repr=False,
    )
    key_prefix: str = "ranef"
    # What the addresses of the service begin with where a proxy strips it: `/stats`.
    root_path: RootPath = ""

    # How long things live.
    result_ttl: float = 7 * DAY
    # Reading a result lets it live for its full time again, at most so often.
    extend_interval: float = 1 * DAY
    unsuccessful_ttl: float = 1 * DAY
    tombstone_ttl: float = 1 * DAY
    # Counts of ended fits, since the last one.
    outcomes_ttl: float = 30 * DAY
    dataset_ttl: float = 7 * DAY  # since the last upload of the same content
    # Segments that no record names yet; must outlast the slowest upload.
    upload_ttl: float = 600.0
    # What a running fit has saved of itself, since it last did.
    checkpoint_ttl: float = 1 * HOUR

    # Budgets.
    segment_bytes: int = 8 * MEBIBYTE
    memory_fraction: float = Field(
        default=0.75, gt=0, le=1
    )  # of the server's maxmemory; the rest is for results
    tenant_bytes: int = 1024 * MEBIBYTE
    checkpoint_bytes: int = 64 * MEBIBYTE  # of a running fit; what is larger is not saved
    dataset_bytes: int = 1024 * MEBIBYTE  # of a tenant's data sets
    batch_bytes: int = 256 * MEBIBYTE  # of a tenant's batches: lists of members, and why some were refused
    max_active: int = 10_000  # fits that are queued or running, of all tenants
    tenant_active: int = 5_000  # of one, so that none takes every place
    tenant_links: int = 1_000  # signed links of a tenant, that have not expired
    max_events: int = 1000
    # Fits that one page of a list looks at, whatever it is to pass over.
    scan_limit: int = 1000
    event_interval: float = 0.5

    # Callbacks. Secrets: `acme whsec_…`, one a line (or between semicolons); `python -m service.keys secret` makes one.
    callback_secrets: str = Field(default="", repr=False)
    callback_secrets_file: Path | None = None
    # Networks that are not public, and may be called all the same: `10.0.0.0/8, fd00::/8`.
    callback_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], *Separated] = ()
    callback_http: bool = False  # without TLS, too
    callback_ttl: float = 7 * DAY  # since what it tells of; longer than all attempts together
    open_callbacks: int = 20  # of one fit or batch, that wait or are due
    kept_callbacks: int = 100  # of those that are over

    # Leases.
    lease_seconds: float = 10.0
    # Attempts in a row that die without having saved anything new.
    max_attempts: int = 3
    # A queued fit that nobody has claimed for so long is looked for in the queue.
    queue_grace: float = 15.0
    # The broker gives a message to another worker when this passes without a renewal.
    visibility_timeout: float = 60.0

    # Patience with the server.
    socket_timeout: float = 1.0
    publish_timeout: float = 2.0

    @property
    def broker_url(self) -> str:
        """The same server in Celery's spelling, which differs for unix sockets."""
        if self.redis_url.startswith("unix://"):
            return "redis+socket://" + self.redis_url.removeprefix("unix://")
        return self.redis_url
