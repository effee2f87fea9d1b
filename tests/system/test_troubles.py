"""Workers whose server answers with errors: they wait, and go on with the fits that they have."""

import pytest

from store.records import FitStatus
from tests.store.troubles import TROUBLES, troubled
from tests.system.conftest import Plant, eventually


@pytest.mark.timeout(300)
def test_workers_outlast_whatever_the_server_answers(plant: Plant) -> None:
    worker = plant.start_worker()
    for trouble in TROUBLES:
        first, second = f"fit_{trouble}", f"fit_after_{trouble}"
        plant.submit(first, seconds=1.0)
        plant.await_status(first, FitStatus.RUNNING)
        with troubled(plant.server.url, trouble):
            # It ends now, and for longer than its lease lasts its draws cannot be published.
            said = plant.log.read_text().count("not told") + 8
            eventually(lambda said=said: plant.log.read_text().count("not told") >= said)
            assert worker.poll() is None
        plant.await_status(first, FitStatus.SUCCEEDED)
        plant.submit(second)
        plant.await_status(second, FitStatus.SUCCEEDED)
        assert (plant.attempts(first), plant.attempts(second)) == (1, 1), trouble
    assert worker.poll() is None
