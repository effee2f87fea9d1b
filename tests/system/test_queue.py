"""How a worker takes messages: one at a time, from both queues in turn, and none for longer than is allowed."""

import pytest
import redis

from store.records import FitStatus
from tests.system.conftest import QUICK, Plant, eventually


def test_a_busy_worker_keeps_no_message_from_another(plant: Plant) -> None:
    plant.start_worker()
    plant.submit("fit_long", seconds=30)
    plant.await_status("fit_long", FitStatus.RUNNING)
    for i in range(3):
        plant.submit(f"fit_{i}")
    assert plant.jobs.lengths() == {"interactive": 3, "batch": 0}
    plant.start_worker()
    for i in range(3):
        plant.await_status(f"fit_{i}", FitStatus.SUCCEEDED)
    assert plant.status("fit_long") is FitStatus.RUNNING


def test_a_small_fit_is_not_stuck_behind_large_ones(plant: Plant) -> None:
    large = [f"fit_large_{i}" for i in range(6)]
    for fit_id in large:
        plant.submit(fit_id, queue="batch", seconds=0.5)
    plant.submit("fit_small")
    plant.start_worker()
    plant.await_status("fit_small", FitStatus.SUCCEEDED)
    assert sum(plant.attempts(fit_id) for fit_id in large) <= 2


def test_a_fit_whose_time_is_up_fails_once_and_frees_its_worker(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANEF_FIT_TIMEOUT", "1.5")
    worker = plant.start_worker()
    plant.submit("fit_endless", seconds=60)
    plant.await_status("fit_endless", FitStatus.FAILED, 10.0)
    record = plant.store.get("fit_endless")
    assert record is not None
    assert record.failure is not None
    assert (record.failure.kind, record.attempt) == ("timeout", 1)
    plant.submit("fit_after")
    plant.await_status("fit_after", FitStatus.SUCCEEDED)
    eventually(lambda: not plant.jobs.waiting())
    assert plant.attempts("fit_endless") == 1
    assert worker.poll() is None


def test_a_worker_whose_connections_are_cut_takes_the_next_fit(plant: Plant) -> None:
    plant.start_worker()
    plant.submit("fit_running", seconds=2)
    plant.await_status("fit_running", FitStatus.RUNNING)
    with redis.Redis.from_url(plant.server.url) as client:
        for kind in ("normal", "pubsub"):
            client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
    plant.submit("fit_next")
    for fit_id in ("fit_running", "fit_next"):
        plant.await_status(fit_id, FitStatus.SUCCEEDED)
    assert plant.attempts("fit_running") == 1


def test_the_message_of_a_dead_worker_comes_back_though_nobody_reconciles(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUICK, "RANEF_RECONCILE_INTERVAL", "1000")
    worker = plant.start_worker()
    plant.submit("fit_a", seconds=2)
    plant.sampler("fit_a")
    worker.kill()
    worker.wait()
    plant.start_worker()
    # By default abandoned messages are looked for each 100 s only.
    eventually(lambda: plant.attempts("fit_a") == 2, 15.0)
    plant.await_status("fit_a", FitStatus.SUCCEEDED)


def order(plant: Plant) -> list[str]:
    """The fits that have succeeded, in the order in which they did."""
    records = [
        record for tenant in ("acme", "greedy") for record in plant.store.list(tenant, limit=100).records
    ]
    return [record.id for record in sorted(records, key=lambda record: record.finished_at or 0.0)]


def test_a_fit_that_proves_slow_lets_those_that_wait_go_first(plant: Plant) -> None:
    plant.submit("fit_slow", queue="batch", slow=True, seconds=1.0)
    quick = [f"fit_quick_{i}" for i in range(8)]
    for fit_id in quick:
        plant.submit(fit_id, queue="batch")
    plant.start_worker()
    plant.await_status("fit_slow", FitStatus.RUNNING)
    for fit_id in quick:
        plant.await_status(fit_id, FitStatus.SUCCEEDED)
    plant.await_status("fit_slow", FitStatus.SUCCEEDED)
    assert order(plant) == [*quick, "fit_slow"]
    record = plant.store.get("fit_slow")
    assert record is not None
    assert record.attempt == 1
    assert plant.attempts("fit_slow") == 2


@pytest.mark.parametrize("queue", ["interactive", "batch"])
def test_a_tenant_with_many_fits_keeps_no_other_waiting(plant: Plant, queue: str) -> None:
    many = [f"fit_many_{i}" for i in range(30)]
    for fit_id in many:
        plant.submit(fit_id, queue=queue, tenant="greedy", seconds=0.1)
    few = ["fit_0", "fit_1"]
    for fit_id in few:
        plant.submit(fit_id, queue=queue)
    plant.start_worker()
    for fit_id in (*few, *many):
        plant.await_status(fit_id, FitStatus.SUCCEEDED)
    done = order(plant)
    assert [done.index(fit_id) < 5 for fit_id in few] == [True, True]
    assert [fit_id for fit_id in done if fit_id in many] == many
    assert all(plant.attempts(f"{fit_id}") >= 1 for fit_id in many)
    eventually(lambda: not plant.jobs.waiting())
