"""How far a fit is and when it ends, by a clock that the test moves."""

import pytest

from model.frame.table import Table
from model.spec import ASSUMED_COMPILATION, FitSpec, SamplerSettings, prepare
from tests.worker.silent import Silent
from worker.compiled import COMPILED
from worker.fitting import fit
from worker.forecast import COMPILE_TIMES, CompileTimes, Forecast


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def forecast(clock: Clock) -> Forecast:
    times = CompileTimes()
    times.record("nuts", 10.0)
    return Forecast(times, clock)


def test_seconds_in_the_compiler_are_not_the_pace_of_the_sampler(clock: Clock, forecast: Forecast) -> None:
    forecast.expect("nuts", 1.0)
    forecast.note("compiling", None)
    clock.now += 12.0
    forecast.note("sampling", 0.0)
    clock.now += 0.1
    forecast.note("sampling", 0.25)
    assert forecast.now() == (0.25, pytest.approx(0.3, rel=0.1))


def test_while_it_compiles_the_seconds_are_counted_down(clock: Clock, forecast: Forecast) -> None:
    assert forecast.now() == (0.0, None)
    forecast.note("preparing", None)
    assert forecast.now() == (0.0, None)
    forecast.expect("nuts", 2.0)
    forecast.note("compiling", None)
    assert forecast.now() == (0.0, pytest.approx(12.0))
    clock.now += 4.0
    assert forecast.now() == (0.0, pytest.approx(8.0))
    # What is overdue is not about to end at once.
    clock.now += 16.0
    assert forecast.now() == (0.0, pytest.approx(20 * 0.25 + 2))


def test_an_unmeasured_method_is_assumed_to_compile_for_a_while() -> None:
    times = CompileTimes()
    assert times.measured() == {}
    assert times.expected("nuts") == ASSUMED_COMPILATION["nuts"]
    for seconds in (3.0, 50.0, 4.0):
        times.record("nuts", seconds)
    assert times.expected("nuts") == 4.0


def test_the_pace_is_that_of_late(clock: Clock, forecast: Forecast) -> None:
    forecast.expect("nuts", 60.0)
    forecast.note("warmup", 0.0)
    for step in range(1, 11):
        clock.now += 9.0
        forecast.note("warmup", step * 0.03)
    for step in range(1, 31):
        clock.now += 3.0
        forecast.note("sampling", 0.3 + step * 0.01)
    assert forecast.now()[1] == pytest.approx(40 * 3.0, rel=0.1)


def test_where_more_is_left_than_was_known_the_share_waits(clock: Clock, forecast: Forecast) -> None:
    forecast.expect("nuts", 10.0)
    told = []
    forecast.note("warmup", 0.0)
    # After 100 of 200 steps there are 300.
    for step in range(1, 301):
        clock.now += 0.1
        forecast.note("warmup", step / (200 if step <= 100 else 300))
        told.append(forecast.now())
    shares = [share or 0.0 for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    for step in (50, 100, 200, 250):
        known = 200 if step <= 100 else 300
        assert told[step - 1][1] == pytest.approx((known - step) / 10, rel=0.4)


def test_a_sampler_that_takes_over_begins_from_nothing(clock: Clock, forecast: Forecast) -> None:
    forecast.expect("collapsed", 0.1)
    forecast.note("sampling", 0.0)
    clock.now += 0.1
    forecast.note("sampling", 1.0)
    assert forecast.now()[0] == 1.0
    forecast.expect("nuts", 5.0)
    forecast.note("warmup", 0.0)
    clock.now += 1.0
    forecast.note("warmup", 0.1)
    assert forecast.now() == (0.1, pytest.approx(9.0, rel=0.1))


def test_a_fit_that_goes_on_where_another_worker_was_begins_there(clock: Clock, forecast: Forecast) -> None:
    forecast.expect("nuts", 10.0)
    forecast.note("sampling", 0.9)
    assert forecast.now() == (0.9, pytest.approx(1.0, rel=0.1))
    clock.now += 0.5
    forecast.note("sampling", 0.91)
    assert forecast.now() == (0.91, pytest.approx(4.5, rel=0.5))


class Phases(Silent):
    """Notes the phases of a fit."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def report(self, phase: str, fraction: float | None = None, draws: int = 0, divergences: int = 0) -> None:
        if self.phases[-1:] != [phase]:
            self.phases.append(phase)


def test_a_fit_says_that_it_compiles_only_when_it_does() -> None:
    table = Table.from_columns(
        {"y": [0.3, 1.1, 0.2, 0.9, 1.4, 0.1, 2.0], "g": ["a", "a", "b", "b", "c", "c", "d"]}
    )
    # A shape that no other test has.
    spec = FitSpec(
        "y ~ 1 + (1 | g)", table, sampler=SamplerSettings(chains=3, draws=50, warmup=50, method="nuts")
    )
    plan, first, second = prepare(spec), Phases(), Phases()
    before = COMPILED.compilations
    fit(plan, first)
    assert COMPILED.compilations > before
    assert first.phases == ["preparing", "compiling", "warmup", "sampling", "summarizing"]
    fit(plan, second)
    assert second.phases == ["preparing", "warmup", "sampling", "summarizing"]


def test_only_what_was_really_compiled_is_measured() -> None:
    assert all(seconds > 0.2 for seconds in COMPILE_TIMES.measured().values())
