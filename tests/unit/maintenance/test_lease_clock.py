"""What counts against a lease: only time in which a renewal was taken."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runsvc.core.lifecycle import Limit
from runsvc.core.model import Lease, StatusReason
from runsvc.maintenance.lease_clock import TOLERANCE, Delay, Elapsed, LeaseClock, Step
from tests.support.machine import NOON, Machine

if TYPE_CHECKING:
    from runsvc.maintenance.lease_clock import Beat

INTERVAL = timedelta(seconds=0.25)
NONE = timedelta(0)
HOUR = 3_600


class Beating:
    """A service whose store tells the machine's time."""

    def __init__(self, ahead: float = 0) -> None:
        """The time on record may be so many seconds ahead of the machine's clock."""
        self.machine = Machine()
        self._timekeeper = self.machine.timekeeper()
        self._timekeeper.now(not_before=self.machine.wall // 1_000 + round(ahead * 1e6))
        self.serving = LeaseClock(self._timekeeper, INTERVAL)
        self.beat()

    def moment(self) -> Beat:
        time = datetime.fromtimestamp(0, NOON.tzinfo) + timedelta(
            microseconds=self._timekeeper.now()
        )
        return self.serving.moment(time)

    def beat(self) -> None:
        self.serving.beat(self.moment())

    def go_on(self, seconds: float) -> None:
        """Beat regularly for so long."""
        for _ in range(round(seconds / 0.25)):
            self.machine.go_on(0.25)
            self.beat()

    @property
    def counted(self) -> Elapsed:
        counted = self.serving.counted()
        assert counted is not None
        return counted

    @property
    def served(self) -> float:
        return self.counted.served.total_seconds()


def test_nothing_counts_before_the_first_beat() -> None:
    serving = LeaseClock(Machine().timekeeper(), INTERVAL)
    assert serving.broken
    assert serving.counted() is None


def test_time_counts_from_the_first_beat_on() -> None:
    service = Beating()
    assert service.counted == Elapsed(NOON, NONE, NONE)
    service.go_on(10)
    service.machine.go_on(0.1)
    assert service.counted.at == NOON + timedelta(seconds=10.1)
    assert service.served == 10.1


def test_a_failure_of_the_store_breaks_until_the_next_beat() -> None:
    service = Beating()
    service.go_on(10)
    service.serving.interrupt()
    assert service.serving.broken
    assert service.served == 0
    service.go_on(2)
    assert service.served == 1.75
    assert service.counted.steps == ()


def test_a_stop_of_the_process_breaks() -> None:
    service = Beating()
    service.go_on(10)
    service.machine.go_on(60)
    # Nothing counts, even before anyone beats.
    assert service.counted.served == NONE
    service.beat()
    assert (service.served, service.counted.steps) == (0, ())
    assert service.counted.at == NOON + timedelta(seconds=70)
    service.go_on(3)
    assert service.served == 3


def test_a_slow_answer_is_a_delay() -> None:
    service = Beating()
    service.go_on(10)
    beat = service.moment()
    service.machine.go_on(0.6)
    service.serving.beat(beat)
    assert service.counted.at == NOON + timedelta(seconds=10.6)
    assert service.counted.steps == ()
    assert (service.served, service.counted.prompt) == (10.6, NONE)
    assert service.counted.delays == (Delay(service.counted.at, timedelta(seconds=0.6)),)


def test_a_slow_answer_is_no_second_delay_at_the_next_beat() -> None:
    service = Beating()
    lease = Lease(seconds(10), NOON + seconds(20))
    service.go_on(10)
    for length in (1.5, 3):
        beat = service.moment()
        service.machine.go_on(length)
        service.serving.beat(beat)
        told = service.counted.delays
        service.machine.go_on(0.25)
        assert service.counted.delays == told
        service.go_on(1)
        assert service.counted.delays == told
        if length == 1.5:
            assert told == (Delay(NOON + seconds(11.5), seconds(1.5)),)
            assert service.counted.end_of(lease) == NOON + seconds(21.5)
    # The second one was a break, and it was one break.
    assert service.served == 1.25


def test_a_late_beat_is_a_delay_and_a_very_late_one_a_break() -> None:
    service = Beating()
    service.go_on(10)
    service.machine.go_on(2.25)
    # It is one even before anyone beats.
    for _ in range(2):
        (delay,) = service.counted.delays
        assert delay == Delay(NOON + timedelta(seconds=12.25), timedelta(seconds=2))
        assert (service.served, service.counted.prompt) == (12.25, NONE)
        service.beat()
    service.machine.go_on(2.5)
    service.beat()
    assert (service.served, service.counted.delays) == (0, ())


def seconds(length: float) -> timedelta:
    return timedelta(seconds=length)


def end(ttl: float, renewed: float, counted: Elapsed) -> float:
    """When a lease is over, in seconds after noon."""
    lease = Lease(seconds(ttl), NOON + seconds(renewed + ttl))
    return (counted.end_of(lease) - NOON).total_seconds()


def counted_with(served: float, *delays: tuple[float, float]) -> Elapsed:
    """A hundred seconds after noon, after delays that ended at a time and took a length."""
    every = [Delay(NOON + seconds(at), seconds(length)) for at, length in delays]
    return Elapsed(NOON + seconds(100), seconds(served), NONE, every)


def test_a_lease_is_over_when_it_ran_out() -> None:
    assert end(30, 60, counted_with(99)) == 90


def test_after_a_break_a_lease_has_its_whole_ttl() -> None:
    assert end(30, 60, counted_with(10)) == 120
    assert end(30, 95, counted_with(10)) == 125


def test_delays_after_the_renewal_do_not_count() -> None:
    assert end(30, 60, counted_with(99, (50, 3), (70, 2), (80, 0.6))) == 92.6
    assert end(30, 60, counted_with(30, (80, 3))) == 103


def test_a_delay_that_may_have_cost_a_lease_is_a_break_to_it() -> None:
    assert end(6, 60, counted_with(99, (63, 2))) == 69
    assert end(6, 60, counted_with(99, (63, 2), (65, 1))) == 70
    assert end(6, 60, counted_with(99, (63, 1.9))) == 67.9
    assert end(6, 60, counted_with(99, (60, 4))) == 66


def test_a_service_that_is_slow_for_ever_still_finds_out_who_is_dead() -> None:
    service = Beating()
    lease = Lease(seconds(30), NOON + seconds(30))
    while service.serving.left(lease):
        service.machine.go_on(2)
        service.beat()
        assert service.counted.at < NOON + timedelta(hours=1)


def test_being_a_little_late_is_no_break() -> None:
    service = Beating()
    service.go_on(10)
    for _ in range(9):
        service.machine.go_on((INTERVAL + TOLERANCE).total_seconds())
        service.beat()
    assert service.served == 16.75


def test_a_clock_set_forward_breaks_and_is_remembered() -> None:
    service = Beating()
    service.go_on(10)
    service.machine.set_clock(HOUR)
    # By what has passed nobody would know of it.
    assert service.counted.at == NOON + timedelta(seconds=10)
    service.beat()
    time, step = NOON + seconds(10 + HOUR), Step(NOON + seconds(10 + HOUR), seconds(HOUR))
    assert service.counted == Elapsed(time, NONE, NONE, (), (step,))
    service.go_on(5)
    assert (service.served, service.counted.steps) == (5, (step,))


def limit_end(since: float, *steps: tuple[float, float]) -> float:
    """When a timeout of ten seconds strikes, in seconds after noon."""
    every = [Step(NOON + seconds(at), seconds(length)) for at, length in steps]
    limit = Limit(NOON + seconds(since), seconds(10), StatusReason.TIMEOUT_EXCEEDED)
    counted = Elapsed(NOON + seconds(100), NONE, NONE, (), every)
    return (counted.end_of_limit(limit) - NOON).total_seconds()


def test_a_timeout_is_longer_by_what_the_clock_was_set_forward_since_it_began() -> None:
    assert limit_end(5) == 15
    assert limit_end(5, (4, 0.6), (7, 0.6), (3_609, 3_600)) == 3_615.6
    # It began just before the step.
    assert limit_end(9.000_01, (3_609, 3_600)) == 3_619.000_01
    # It began after the step, though before that was noticed.
    assert limit_end(3_608, (3_609, 3_600)) == 3_618


async def test_a_clock_that_was_set_forward_and_back_before_the_start_is_found_out() -> None:
    service = Beating(ahead=HOUR)
    step = Step(NOON + seconds(HOUR), seconds(HOUR))
    assert service.counted == Elapsed(NOON + seconds(HOUR), NONE, NONE, (), (step,))
    assert await service.serving.time_without_jumps() == NOON
    service.go_on(5)
    assert service.counted.steps == (step,)


async def test_a_time_on_record_that_has_come_shows_nothing() -> None:
    service = Beating(ahead=-HOUR)
    assert service.counted.steps == ()
    assert await service.serving.time_without_jumps() == NOON


def test_a_clock_set_back_changes_nothing() -> None:
    service = Beating()
    service.go_on(10)
    service.machine.set_clock(-HOUR)
    service.go_on(10)
    assert service.counted.at == NOON + timedelta(seconds=19.99)
    assert (service.served, service.counted.steps) == (19.99, ())
