"""The service's time never goes back and never stops."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runsvc.timekeeper import Timekeeper, ago
from tests.support.machine import Machine

HOUR = 3_600


def test_it_follows_the_machines_clock() -> None:
    machine = Machine()
    timekeeper = machine.timekeeper()
    assert timekeeper.now() == machine.wall // 1_000
    machine.go_on(5)
    machine.set_clock(HOUR)
    assert timekeeper.now() == machine.wall // 1_000


def test_time_continues_after_the_clock_was_set_back() -> None:
    machine = Machine()
    timekeeper = machine.timekeeper()
    before = timekeeper.now()
    machine.set_clock(-HOUR)
    assert timekeeper.now() == before
    machine.go_on(100)
    assert timekeeper.now() == before + 99_900_000


def test_the_machines_clock_catches_up() -> None:
    machine = Machine()
    timekeeper = machine.timekeeper()
    timekeeper.now()
    machine.set_clock(-10)
    machine.go_on(10_001)
    assert timekeeper.now() == machine.wall // 1_000


def test_frequent_calls_do_not_slow_it_down() -> None:
    machine = Machine()
    timekeeper = machine.timekeeper()
    before = timekeeper.now()
    machine.set_clock(-HOUR)
    for _ in range(1_000_000 // 10):
        machine.go_on(0.00001)
        timekeeper.now()
    assert timekeeper.now() == before + 999_000


def test_it_continues_from_a_recorded_time() -> None:
    machine = Machine()
    timekeeper = machine.timekeeper()
    recorded = machine.wall // 1_000 + HOUR * 1_000_000
    assert timekeeper.now(not_before=recorded) == recorded
    machine.go_on(10)
    assert timekeeper.now(not_before=recorded) == recorded + 9_990_000


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(-5_000, 5_000))))
def test_it_never_goes_back(steps: list[tuple[int, int]]) -> None:
    machine = Machine()
    timekeeper = machine.timekeeper()
    times = [timekeeper.now()]
    for passed, shift in steps:
        machine.go_on(passed)
        machine.set_clock(shift)
        times.append(timekeeper.now())
    assert times == sorted(times)


def test_monotonic_seconds_never_decrease() -> None:
    timekeeper = Timekeeper()
    first = timekeeper.monotonic()
    assert timekeeper.monotonic() >= first


def test_ago_is_never_before_1970() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert ago(timedelta(days=1), now) == datetime(2026, 1, 1, tzinfo=UTC)
    for length in (timedelta(days=36_500), timedelta.max):
        assert ago(length, now) == datetime(1970, 1, 1, tzinfo=UTC)
