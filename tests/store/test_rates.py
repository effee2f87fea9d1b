"""Counts of requests, in memory and on a real server: by tenant, by window, however many ask at once."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from store.base import StoreUnavailable
from store.rates import MemoryRates, Rates, RedisRates
from store.settings import StoreSettings


@pytest.fixture(params=["memory", "redis"])
def rates(request: pytest.FixtureRequest) -> Rates:
    if request.param == "memory":
        return MemoryRates()
    request.getfixturevalue("raw")
    return RedisRates(request.getfixturevalue("settings"))


def test_what_is_left_goes_down_to_nothing_and_comes_back(rates: Rates) -> None:
    taken = [rates.take("acme", 2, 0.3) for _ in range(4)]
    assert [(one.granted, one.remaining) for one in taken] == [(True, 1), (True, 0), (False, 0), (False, 0)]
    assert all(0 < one.reset < 0.31 for one in taken)
    time.sleep(0.4)
    assert rates.take("acme", 2, 0.3).granted


def test_each_tenant_has_its_own(rates: Rates) -> None:
    assert not [rates.take("acme", 1, 5.0) for _ in range(2)][-1].granted
    assert rates.take("globex", 1, 5.0).granted


def test_of_many_at_once_exactly_the_quota_is_granted(rates: Rates) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: rates.take("acme", 25, 30.0), range(60)))
    assert sum(one.granted for one in taken) == 25


def test_a_count_does_not_outlive_its_window(raw: redis.Redis, settings: StoreSettings) -> None:
    RedisRates(settings).take("acme", 2, 0.2)
    assert [raw.pttl(key) > 0 for key in raw.scan_iter()] == [True]
    time.sleep(0.3)
    assert list(raw.scan_iter()) == []


def test_an_absent_server_is_told_of_at_once(tmp_path: Path) -> None:
    rates = RedisRates(StoreSettings(redis_url=f"unix://{tmp_path}/none.sock"))
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        rates.take("acme", 1, 1.0)
    assert time.monotonic() - began < 0.5
