"""`python -m worker.health`: succeeds while a worker of this host is alive and takes what waits, for health checks.

Cheaper than Celery's own ping, and true of the processes that sample.
"""

import socket

from store.base import Store, StoreUnavailable
from store.environment import start_with
from store.redis import RedisStore
from worker.settings import WorkerSettings


def complaint(store: Store, host: str, patience: float) -> str | None:
    """Say what is wrong with the worker of a host, if anything is.

    A fit that has waited for `patience` seconds beside a process that does nothing is not going to be taken.
    """
    states = [state for state in store.workers() if state.id.rpartition(":")[0] == host]
    if not states:
        return "no sampling process of this host is alive"
    waited = max((queue.age for queue in store.queues().values()), default=0.0)
    if waited >= patience and not any(state.busy for state in states):
        return f"a fit has waited for {waited:.0f} s, and no sampling process of this host does anything"
    return None


if __name__ == "__main__":
    start_with(WorkerSettings)
    settings = WorkerSettings()
    try:
        # Told before the watchdog acts, which ends the worker.
        store = RedisStore(settings)
        # A store that takes no changes takes no sign of life either.
        store.ping()
        wrong = complaint(store, socket.gethostname(), settings.deaf_patience / 2)
    except StoreUnavailable as error:
        raise SystemExit(str(error)) from error
    raise SystemExit(wrong)
