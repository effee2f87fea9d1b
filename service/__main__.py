"""Run the service: `python -m service` listens on PORT."""

import uvicorn

from service.app import create_app
from service.logs import configure
from service.settings import ServiceSettings


def main() -> None:
    """Serve until a signal says to stop."""
    settings = ServiceSettings()
    configure(settings.log_level)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


if __name__ == "__main__":
    main()
