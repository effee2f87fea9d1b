"""A client of the server that the settings name, and its errors in the words of the store."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from store.base import StoreFull, StoreUnavailable
from store.settings import StoreSettings

SCRIPTS = Path(__file__).parent / "scripts"
_OWN = (SCRIPTS / "own.lua").read_text()
Value = TypeVar("Value")
Command = tuple[str | bytes | int, ...]


def connect(settings: StoreSettings, timeout: float) -> redis.Redis:
    """Make a client that waits `timeout` seconds for an answer; nothing is sent before its first command."""
    return redis.Redis.from_url(
        settings.redis_url,
        socket_timeout=timeout,
        socket_connect_timeout=settings.socket_timeout,
        # A write that is sent again after a timeout may happen twice.
        retry=Retry(NoBackoff(), 0),
    )


def read(client: redis.Redis, *command: str | bytes | int) -> object:
    """Run a command that changes nothing, once more if the server does not answer or had closed the connection."""
    return _twice(lambda: client.execute_command(*command))  # type: ignore[no-untyped-call]


def read_all(client: redis.Redis, commands: Sequence[Command]) -> list[Any]:
    """Run many commands that change nothing in one exchange, as `read` does one."""
    if not commands:
        return []

    def run() -> list[Any]:
        with client.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)  # type: ignore[no-untyped-call]
            return pipe.execute()

    return _twice(run)


def own(key: str, tenant: str) -> Command:
    """Give the command that reads a hash if its field `tenant` says so; its answer is for `pairs`.

    Whose it is is found out where it lies, so that it takes no longer to be refused what exists.
    """
    return ("EVAL", _OWN, 1, key, tenant)


def pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """Put the fields of a hash and their values together, as a script gives them."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _twice(run: Callable[[], Value]) -> Value:
    try:
        return run()
    # A server that writes its log to a slow disk may be silent for longer than one timeout.
    except (redis.ConnectionError, redis.TimeoutError):
        return run()


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
