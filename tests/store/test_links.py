"""What both places for signed links promise: a life that is bounded, a tenant's own, revoked for everybody at once."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis

from store.base import InvalidCursor
from store.links import LinkRecord, Links, MemoryLinks, TooManyLinks, digest_of, link_id
from store.redis_links import RedisLinks
from store.settings import StoreSettings

FEW: dict[str, Any] = {"tenant_links": 5}
Sleep = Callable[[float], None]


@pytest.fixture(params=["memory", "redis"])
def place(request: pytest.FixtureRequest) -> tuple[Links, Sleep]:
    if request.param == "redis":
        request.getfixturevalue("raw")
        server = request.getfixturevalue("server")
        return RedisLinks(StoreSettings(redis_url=server.url, **FEW)), time.sleep
    now = [1_800_000_000.0]

    def clock() -> float:
        now[0] += 1e-6
        return now[0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return MemoryLinks(StoreSettings(**FEW), clock), sleep


def record(token: str = "secret", tenant: str = "acme", *paths: str) -> LinkRecord:
    return LinkRecord(link_id(token), tenant, digest_of(token), "", paths or ("/v1/fits/a", "/v1/fits/a/*"))


def test_a_link_is_read_back_by_id_and_tenant(place: tuple[Links, Sleep]) -> None:
    links, _ = place
    kept = links.put(record(), 60.0)
    assert kept == replace(record(), created_at=kept.created_at, expires_at=kept.expires_at)
    assert kept.expires_at == pytest.approx(kept.created_at + 60.0)
    assert links.get(kept.id) == kept
    assert links.get(kept.id, "acme") == kept
    assert links.get(kept.id, "globex") is None
    assert links.get(link_id("another")) is None


def test_a_link_expires(place: tuple[Links, Sleep]) -> None:
    links, sleep = place
    kept = links.put(record(), 0.2)
    sleep(0.3)
    assert links.get(kept.id) is None
    assert links.list("acme").records == ()


def test_a_link_is_revoked_by_its_tenant_alone(place: tuple[Links, Sleep]) -> None:
    links, _ = place
    kept = links.put(record(), 60.0)
    assert not links.delete(kept.id, "globex")
    assert links.get(kept.id) is not None
    assert links.delete(kept.id, "acme")
    assert not links.delete(kept.id, "acme")
    assert links.get(kept.id) is None


def test_pages_are_complete_and_begin_with_the_last(place: tuple[Links, Sleep]) -> None:
    links, _ = place
    made = [links.put(record(f"{number}"), 60.0).id for number in range(5)]
    links.put(record("other", "globex"), 60.0)
    seen, cursor = [], None
    while True:
        page = links.list("acme", limit=2, cursor=cursor)
        seen += [found.id for found in page.records]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == made[::-1]
    with pytest.raises(InvalidCursor):
        links.list("acme", cursor="nonsense")


def test_a_tenant_has_so_many_links_that_have_not_expired(place: tuple[Links, Sleep]) -> None:
    links, sleep = place
    for number in range(5):
        links.put(record(f"{number}"), 0.2 if number == 0 else 60.0)
    with pytest.raises(TooManyLinks):
        links.put(record("one more"), 60.0)
    links.put(record("another's", "globex"), 60.0)
    sleep(0.3)
    links.put(record("one more"), 60.0)


def test_what_is_kept_gives_no_token_away_and_lives_no_longer(
    raw: redis.Redis, settings: StoreSettings
) -> None:
    links = RedisLinks(settings)
    links.put(record("a token of 256 bits"), 60.0)
    links.put(record("a short one"), 0.2)
    for key in raw.scan_iter():
        assert raw.pttl(key) > 0
        assert b"a token" not in key
        assert raw.type(key) != b"hash" or b"a token" not in b"".join(raw.hvals(key))  # type: ignore[arg-type]
    # The list outlives the short one, for the sake of the other.
    time.sleep(0.3)
    assert [kept.id for kept in links.list("acme").records] == [link_id("a token of 256 bits")]


def test_another_process_sees_a_link_and_its_end(raw: redis.Redis, settings: StoreSettings) -> None:
    here, there = RedisLinks(settings), RedisLinks(settings)
    kept = here.put(record(), 60.0)
    assert there.get(kept.id) == kept
    assert there.delete(kept.id, "acme")
    assert here.get(kept.id) is None


@pytest.mark.parametrize(
    ("path", "opened"),
    [
        ("/v1/fits/a", True),
        ("/v1/fits/a/plots/trace.svg", True),
        ("/v1/fits/ab", False),
        ("/v1/fits/ab/summary", False),
        ("/v1/fits", False),
        ("/v1/fits/a/", True),
    ],
)
def test_a_link_leads_to_its_paths_alone(path: str, opened: bool) -> None:
    assert record().leads_to(path) is opened


def test_a_token_opens_its_own_link_alone() -> None:
    assert record("secret").opened_by("secret")
    assert not record("secret").opened_by("Secret")
