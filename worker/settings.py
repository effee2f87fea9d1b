"""The worker's own settings, beside those it shares with the service."""

from pydantic import Field

from store.settings import HOUR, StoreSettings


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

    # A running fit is given so long to end before the worker goes.
    soft_shutdown: float = 20.0
    log_level: str = "INFO"
