"""Run the service: `python -m service` listens on PORT."""

import sys

import uvicorn

from service.apart import Apart, forgo_pandas
from service.app import create_app
from service.keys import InvalidKeys, KeyRing, refusal_to_listen
from service.logs import configure
from service.protocol import http_protocol
from service.settings import ServiceSettings
from store.allocation import keep_freed_memory
from store.environment import start_with
from store.settings import StoreSettings
from store.signing import InvalidSecrets, Secrets
from store.threads import one_blas_thread


def main() -> None:
    """Serve until a signal says to stop."""
    start_with(ServiceSettings, StoreSettings)
    settings = ServiceSettings()
    try:
        keys = KeyRing.of(settings)
        Secrets.of(StoreSettings())
    except (InvalidKeys, InvalidSecrets, OSError) as error:
        raise SystemExit(f"The keys cannot be read: {error}") from None
    if refusal := refusal_to_listen(settings, keys):
        raise SystemExit(refusal)
    # The threads wait for each other's GIL anyway.
    keep_freed_memory(64 << 20, one_arena=True)
    one_blas_thread()
    forgo_pandas()
    # The event loop waits so long for each thread that computes.
    sys.setswitchinterval(0.001)
    configure(settings.log_level)
    apart = Apart(settings)
    # Nothing has begun a thread yet.
    apart.fork()
    uvicorn.run(
        create_app(settings, keys=keys, apart=apart),
        host=settings.host,
        port=settings.port,
        http=http_protocol(settings),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


if __name__ == "__main__":
    main()
