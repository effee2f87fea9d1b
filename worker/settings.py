"""The worker's own settings, beside those it shares with the service."""

from typing import Annotated

from pydantic import Field

from store.settings import HOUR, Separated, StoreSettings


class WorkerSettings(StoreSettings):
    """Times in seconds; read from the environment with the prefix `RANEF_`."""

    # Sampling processes of one worker; XLA uses all cores of each by itself.
    concurrency: int = Field(default=1, ge=1)

    fit_timeout: float = 1 * HOUR
    # How long a sampler may take to stop before its process is killed.
    cancel_patience: float = 10.0
    # How long a finished fit waits for a store that is away.
    publish_patience: float = 300.0

    renew_interval: float = 1.0
    heartbeat_interval: float = 2.0
    heartbeat_ttl: float = 10.0
    reconcile_interval: float = 5.0

    # A worker that does nothing for so long while fits wait ends, to be started anew.
    deaf_patience: float = 60.0
    watch_interval: float = 5.0

    # Callbacks under way at once; 0 on a worker that cannot reach where they go.
    callback_threads: int = Field(default=4, ge=0)
    callback_interval: float = 1.0
    callback_timeout: float = 10.0
    # Longer than an attempt takes.
    callback_lease: float = 60.0
    # After each attempt that failed but the last: 9 attempts in about 32 hours.
    callback_delays: Annotated[tuple[float, ...], *Separated] = (
        *(5.0, 60.0, 300.0, 1800.0),
        *(2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR),
    )

    # When the worker is told to stop, a running fit is given so long to end; then it is handed back to the queue. One
    # that can save how far it is does so at once.
    soft_shutdown: float = 20.0
    log_level: str = "INFO"
