"""The table of transitions, held against what a fit's life is."""

import pytest

from store.records import TRANSITIONS, FitStatus


def test_every_status_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(FitStatus)


@pytest.mark.parametrize("status", list(FitStatus))
def test_the_ended_are_those_without_a_way_on(status: FitStatus) -> None:
    assert status.terminal == (status in {FitStatus.SUCCEEDED, FitStatus.FAILED, FitStatus.CANCELLED})


@pytest.mark.parametrize("status", [status for status in FitStatus if not status.terminal])
def test_every_fit_can_still_be_cancelled_and_still_fail(status: FitStatus) -> None:
    assert {FitStatus.CANCELLED, FitStatus.FAILED} <= TRANSITIONS[status]


def test_nothing_begins_anew_once_it_is_being_cancelled() -> None:
    assert not {FitStatus.RUNNING, FitStatus.QUEUED} & TRANSITIONS[FitStatus.CANCELLING]


def test_only_a_running_fit_goes_back_to_the_queue() -> None:
    assert [status for status in FitStatus if FitStatus.QUEUED in TRANSITIONS[status]] == [FitStatus.RUNNING]
