"""What belongs to another tenant costs the server exactly what nothing does, so that time tells neither apart."""

from collections.abc import Callable

import pytest
import redis

from stack.valkey import Server
from store.batches import Member
from store.datasets import DatasetRecord
from store.redis import RedisStore
from store.redis_batches import RedisBatches
from store.redis_datasets import RedisDatasets
from store.settings import StoreSettings
from tests.store.examples import record


@pytest.fixture(params=["fit", "data set", "batch"])
def looked_for(
    request: pytest.FixtureRequest, server: Server, raw: redis.Redis
) -> Callable[[str, str], object]:
    """The look for a thing of the tenant acme, whose name is `known`, by name and tenant."""
    settings = StoreSettings(redis_url=server.url)
    if request.param == "fit":
        store = RedisStore(settings)
        store.create(record("known"), b"data")
        return store.get
    if request.param == "data set":
        datasets = RedisDatasets(settings)
        datasets.put(DatasetRecord("known", "acme", 1, 0, ()), b"data")
        return datasets.get
    batches = RedisBatches(settings)
    batches.create("known", "acme", [Member("one", None, problem={})])
    return batches.get


def calls(raw: redis.Redis, look: Callable[[], object]) -> dict[str, int]:
    """Count by name the commands that a look makes the server run."""

    def counts() -> dict[str, int]:
        return {name: stats["calls"] for name, stats in raw.info("commandstats").items()}

    before = counts()
    assert look() is None
    return {
        name: count - before.get(name, 0) for name, count in counts().items() if count > before.get(name, 0)
    }


def test_what_is_another_s_is_not_there(looked_for: Callable[[str, str], object]) -> None:
    assert looked_for("known", "acme") is not None
    assert looked_for("known", "globex") is None
    assert looked_for("nobody", "acme") is None


def test_what_is_another_s_costs_what_nothing_costs(
    looked_for: Callable[[str, str], object], raw: redis.Redis
) -> None:
    looked_for("known", "acme")
    theirs = calls(raw, lambda: looked_for("known", "globex"))
    assert theirs == calls(raw, lambda: looked_for("nobody", "globex"))
    assert theirs["cmdstat_eval"] == 1
