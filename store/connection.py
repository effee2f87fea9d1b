"""A client of the server that the settings name, and its errors in the words of the store."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from store.base import StoreFull, StoreUnavailable
from store.settings import StoreSettings


def connect(settings: StoreSettings, timeout: float) -> redis.Redis:
    """Make a client that waits `timeout` seconds for an answer; nothing is sent before its first command."""
    return redis.Redis.from_url(
        settings.redis_url,
        socket_timeout=timeout,
        socket_connect_timeout=settings.socket_timeout,
        # A write that is sent again after a timeout may happen twice.
        retry=Retry(NoBackoff(), 0),
    )


def read(client: redis.Redis, *command: str) -> object:
    """Run a command that changes nothing, once more if the server had closed the connection."""
    try:
        return client.execute_command(*command)  # type: ignore[no-untyped-call]
    except redis.ConnectionError:
        return client.execute_command(*command)  # type: ignore[no-untyped-call]


@contextmanager
def translated() -> Iterator[None]:
    """Raise the store's errors instead of the client's."""
    try:
        yield
    except redis.exceptions.OutOfMemoryError as error:
        raise StoreFull("the store's memory is spent") from error
    except (redis.ConnectionError, redis.TimeoutError, redis.exceptions.ReadOnlyError) as error:
        raise StoreUnavailable("the store does not answer") from error
    except redis.ResponseError as error:
        if "OOM" in str(error):
            raise StoreFull("the store's memory is spent") from error
        raise
