"""`python -m worker.health`: succeeds while a sampling process of this host is alive, for health checks.

Cheaper than Celery's own ping, and true of the process that samples.
"""

import socket

from store.base import Store, StoreUnavailable
from store.redis import RedisStore
from worker.settings import WorkerSettings


def alive(store: Store, host: str) -> bool:
    """Tell whether a sampling process of a host has beaten of late."""
    return any(worker.id.rpartition(":")[0] == host for worker in store.workers())


if __name__ == "__main__":
    try:
        healthy = alive(RedisStore(WorkerSettings()), socket.gethostname())
    except StoreUnavailable as error:
        raise SystemExit(str(error)) from error
    raise SystemExit(0 if healthy else "no sampling process of this host is alive")
