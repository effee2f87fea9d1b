"""Leave-one-out estimates are computed once, kept within their budget, and never another fit's."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from model.frame.design import Design
from model.results.posterior import Posterior
from service.loos import Loos
from store.records import FitRecord
from tests.service.samples import COLUMNS, make_posterior
from tests.worker.models import plan

PLAN = plan("y ~ x", priors=(), data=COLUMNS)
POSTERIOR, DESIGN = make_posterior(PLAN), PLAN.design()
RECORDS = [FitRecord(f"fit_{letter}", "t", "y ~ x", {}, 24, finished_at=1.0) for letter in "abc"]
SIZE = Loos(1 << 20, 100).get(RECORDS[0], lambda: (POSTERIOR, DESIGN)).nbytes


@pytest.fixture
def loaded() -> list[str]:
    """Which fits were loaded, in order."""
    return []


def ask(loos: Loos, record: FitRecord, loaded: list[str]) -> object:
    def load() -> tuple[Posterior, Design]:
        loaded.append(record.id)
        time.sleep(0.05)
        return POSTERIOR, DESIGN

    return loos.get(record, load)


def test_many_requests_compute_once(loaded: list[str]) -> None:
    loos = Loos(1 << 20, 100)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: ask(loos, RECORDS[0], loaded), range(32)))
    assert len({id(result) for result in found}) == 1
    assert loaded == ["fit_a"]


def test_the_least_recently_used_goes_first(loaded: list[str]) -> None:
    loos = Loos(2 * SIZE, 100)
    first, second, third = RECORDS
    for record in (first, second, first, third, first, second):
        ask(loos, record, loaded)
    assert loaded == ["fit_a", "fit_b", "fit_c", "fit_b"]


def test_what_is_too_large_is_given_but_not_kept(loaded: list[str]) -> None:
    loos = Loos(SIZE - 1, 100)
    assert ask(loos, RECORDS[0], loaded) is not None
    ask(loos, RECORDS[0], loaded)
    assert loaded == ["fit_a", "fit_a"]


def test_a_fit_that_was_made_anew_is_another(loaded: list[str]) -> None:
    loos = Loos(1 << 20, 100)
    ask(loos, RECORDS[0], loaded)
    ask(loos, replace(RECORDS[0], finished_at=2.0), loaded)
    assert loaded == ["fit_a", "fit_a"]


def test_a_failure_is_not_kept(loaded: list[str]) -> None:
    loos = Loos(1 << 20, 100)

    def fail() -> tuple[Posterior, Design]:
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011
        loos.get(RECORDS[0], fail)
    assert ask(loos, RECORDS[0], loaded) is not None
