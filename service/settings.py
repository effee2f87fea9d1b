"""The settings of the HTTP side: where it listens, what it accepts at most, how long it is patient.

Each is read from the environment: `PORT`, the others with the prefix `RANEF_` (`RANEF_MAX_ROWS`).
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, Field, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from model.spec import MAX_TOTAL_DRAWS
from store.settings import RootPath, Separated

MEBIBYTE = 1 << 20
_UNPACKED_FREELY = 16 * MEBIBYTE


def _origin(text: str) -> str:
    """An origin as browsers write it, which is compared letter by letter."""
    origin = text.lower().removesuffix("/")
    if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#@\s]+", origin):
        raise ValueError("an origin is https://host or https://host:port, without a path; * stands for all")
    return origin


Origin = Annotated[str, AfterValidator(_origin)]


class Limits(BaseSettings):
    """What one request may ask for at most; `GET /v1/limits` states every one."""

    model_config = SettingsConfigDict(
        env_prefix="RANEF_MAX_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    body_bytes: PositiveInt = 64 * MEBIBYTE
    inflation: PositiveInt = 200  # bytes of an unpacked body for each that was sent, from 1 MiB on
    rows: PositiveInt = 1_000_000
    columns: PositiveInt = 1_000
    cells: PositiveInt = 10_000_000
    parameters: PositiveInt = 1_000_000
    draws: PositiveInt = Field(
        default=MAX_TOTAL_DRAWS, le=MAX_TOTAL_DRAWS
    )  # of all chains together, after warm-up
    result_bytes: PositiveInt = 512 * MEBIBYTE  # of the draws that a fit leaves
    priors: PositiveInt = 2_000  # statements of priors in one request
    metadata_entries: PositiveInt = 32
    metadata_characters: PositiveInt = 512  # of a key or a value
    prediction_rows: PositiveInt = 100_000
    prediction_draws: PositiveInt = 5_000_000  # rows times draws, when the draws themselves are wanted
    contrasts: PositiveInt = 1_000
    contrast_weights: PositiveInt = 200_000  # of all contrasts together
    loo_rows: int = Field(default=10_000, ge=2)  # that are left out in turn; of more a sample is
    batch_members: PositiveInt = 1000
    exported_numbers: PositiveInt = 20_000_000  # in one answer of draws
    page: PositiveInt = 100
    wait_seconds: PositiveInt = 30
    link_seconds: PositiveInt = 24 * 3600  # of a signed link's life
    link_paths: PositiveInt = 100  # that one of them opens

    def unpacked_bytes(self, sent: int) -> int:
        """How large a file that is packed inside, as Parquet is, may become."""
        return min(2 * self.body_bytes, max(_UNPACKED_FREELY, self.inflation * sent))


class ServiceSettings(BaseSettings):
    """The settings of a service process; times in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(
        env_prefix="RANEF_", frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535, validation_alias=AliasChoices("PORT", "port"))
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    limits: Limits = Field(default_factory=Limits)

    # What all addresses begin with where a proxy strips it before the service sees it: `/stats`.
    root_path: RootPath = ""
    # An address under which `type` of a problem is found; the service itself answers under the default.
    problem_base: str = Field(default_factory=lambda given: f"{given.get('root_path', '')}/problems")
    # Pages of these may ask from a browser: `https://a.example, https://b.example:8443`, or `*` for all.
    cors_origins: Annotated[tuple[Origin, ...], *Separated] = ()

    # Hashes of keys, one a line (or between semicolons): `acme write sha256:…`; `python -m service.keys` makes them.
    keys: str = Field(default="", repr=False)
    keys_file: Path | None = None
    # Without keys: whoever can connect may read, write and delete everything.
    trust_everyone_on_this_network: bool = False

    # Requests of a tenant in so many seconds; 0 is no limit.
    rate_quota: NonNegativeInt = 6000
    rate_window: PositiveInt = 60

    # Of the path with its query, and of all headers together.
    address_bytes: PositiveInt = 16 * 1024
    header_bytes: PositiveInt = 32 * 1024
    # Connections at once, as far as the limit of open files allows; a head must be whole in time.
    max_connections: PositiveInt = 4096
    head_seconds: PositiveFloat = 10.0
    # A client that takes nothing of an answer for so long is given up.
    write_seconds: PositiveFloat = 60.0
    # A client that dawdles with its body is not waited for longer.
    body_seconds: PositiveFloat = 60.0
    # A large body is read and checked by a process of its own, which may take so much memory and computing time.
    check_bytes: PositiveInt = 1024 * MEBIBYTE
    check_seconds: PositiveFloat = 20.0
    posterior_cache_bytes: PositiveInt = 256 * MEBIBYTE
    loo_cache_bytes: PositiveInt = 64 * MEBIBYTE
    cache_max_age: PositiveInt = 3600
    # Estimated seconds of sampling from which a fit waits in the queue `batch`, behind no small one.
    batch_cost: PositiveFloat = 10.0
    idempotency_ttl: PositiveFloat = 24 * 3600.0
    shutdown_seconds: PositiveInt = 25
