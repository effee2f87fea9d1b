"""Both stores with a clock each: the one in memory is told the time, the real server's is waited for."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from stack.valkey import Server, running
from store.base import Store
from store.memory import MemoryStore
from store.redis import RedisStore
from store.settings import StoreSettings

# Lives and leases short enough to be waited for; the store in memory has the same.
SHORT = {
    "result_ttl": 0.4,
    "extend_interval": 0.1,
    "unsuccessful_ttl": 0.3,
    "tombstone_ttl": 0.4,
    "checkpoint_ttl": 0.25,
    "queue_grace": 0.2,
    "event_interval": 0.1,
    "segment_bytes": 1000,
    "tenant_bytes": 100_000,
    "max_active": 8,
    "tenant_active": 8,
}


@dataclass(frozen=True)
class Kit:
    """A store, how to make another one on the same state, and how to let time pass."""

    store: Store
    settings: StoreSettings
    sleep: Callable[[float], None]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server.of(tmp_path_factory.mktemp("valkey"), max_memory="100mb")
    with running(server):
        yield server


@pytest.fixture
def raw(server: Server) -> Iterator[redis.Redis]:
    """A client of an empty server."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def settings(server: Server) -> StoreSettings:
    return StoreSettings(redis_url=server.url, **SHORT)  # type: ignore[arg-type]


@pytest.fixture
def redis_kit(raw: redis.Redis, settings: StoreSettings) -> Kit:
    return Kit(RedisStore(settings), settings, time.sleep)


@pytest.fixture
def memory_kit() -> Kit:
    settings = StoreSettings(**SHORT)  # type: ignore[arg-type]
    now = [1_800_000_000.0]

    def clock() -> float:
        now[0] += 1e-6  # as on a real clock no two moments are the same
        return now[0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return Kit(MemoryStore(settings, clock), settings, sleep)


@pytest.fixture(params=["memory", "redis"])
def kit(request: pytest.FixtureRequest) -> Kit:
    chosen = request.getfixturevalue(f"{request.param}_kit")
    assert isinstance(chosen, Kit)
    return chosen


@pytest.fixture
def store(kit: Kit) -> Store:
    return kit.store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "valkey"
