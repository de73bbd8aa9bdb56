"""The lease clock detects outages, delays and steps of the clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runsvc.core.model import Lease
from runsvc.maintenance.elapsed import Delay, Elapsed, Step
from runsvc.maintenance.lease_clock import TOLERANCE, LeaseClock
from tests.support.machine import NOON, Machine

if TYPE_CHECKING:
    from runsvc.maintenance.lease_clock import Reading

INTERVAL = timedelta(seconds=0.25)
NONE = timedelta(0)
HOUR = 3_600


def seconds(length: float) -> timedelta:
    return timedelta(seconds=length)


class Service:
    """A service with regular beats. Its store has the machine's time."""

    def __init__(self, ahead: float = 0) -> None:
        """The recorded time may be ahead of the machine's clock, by a number of seconds."""
        self.machine = Machine()
        self._timekeeper = self.machine.timekeeper()
        self._timekeeper.now(not_before=self.machine.wall // 1_000 + round(ahead * 1e6))
        self.lease_clock = LeaseClock(self._timekeeper, INTERVAL)
        self.beat()

    def read(self) -> Reading:
        time = datetime.fromtimestamp(0, NOON.tzinfo) + timedelta(
            microseconds=self._timekeeper.now()
        )
        return self.lease_clock.read(time)

    def beat(self) -> None:
        self.lease_clock.record_beat(self.read())

    def go_on(self, seconds: float) -> None:
        """Let time pass with regular beats."""
        for _ in range(round(seconds / 0.25)):
            self.machine.go_on(0.25)
            self.beat()

    @property
    def elapsed(self) -> Elapsed:
        elapsed = self.lease_clock.elapsed()
        assert elapsed is not None
        return elapsed

    @property
    def since_outage(self) -> float:
        return self.elapsed.since_outage.total_seconds()


def test_a_service_starts_in_an_outage_until_its_first_beat() -> None:
    lease_clock = LeaseClock(Machine().timekeeper(), INTERVAL)
    assert lease_clock.in_outage
    assert lease_clock.elapsed() is None


def test_time_counts_from_the_first_beat() -> None:
    service = Service()
    assert service.elapsed == Elapsed(NOON, NONE, NONE)
    service.go_on(10)
    service.machine.go_on(0.1)
    assert service.elapsed.now == NOON + seconds(10.1)
    assert service.since_outage == 10.1


def test_a_reading_has_the_state_of_the_service() -> None:
    service = Service()
    reading = service.read()
    assert (reading.time, reading.ahead, reading.in_outage) == (NOON, NONE, False)
    service.machine.go_on(3)
    assert service.lease_clock.seconds_since(reading) == 3
    service.lease_clock.begin_outage()
    assert service.read().in_outage


def test_a_failure_of_the_store_is_an_outage_until_the_next_beat() -> None:
    service = Service()
    service.go_on(10)
    service.lease_clock.begin_outage()
    assert service.lease_clock.in_outage
    assert service.since_outage == 0
    service.go_on(2)
    assert service.since_outage == 1.75
    assert service.elapsed.steps == ()


def test_a_suspended_process_is_an_outage() -> None:
    service = Service()
    service.go_on(10)
    service.machine.go_on(60)
    # This applies even before the next beat.
    assert service.elapsed.since_outage == NONE
    service.beat()
    assert (service.since_outage, service.elapsed.steps) == (0, ())
    assert service.elapsed.now == NOON + seconds(70)
    service.go_on(3)
    assert service.since_outage == 3


def test_a_slow_answer_is_a_delay() -> None:
    service = Service()
    service.go_on(10)
    beat = service.read()
    service.machine.go_on(0.6)
    service.lease_clock.record_beat(beat)
    assert service.elapsed.now == NOON + seconds(10.6)
    assert service.elapsed.steps == ()
    assert (service.since_outage, service.elapsed.since_delay) == (10.6, NONE)
    assert service.elapsed.delays == (Delay(service.elapsed.now, seconds(0.6)),)


def test_a_slow_answer_does_not_count_again_at_the_next_beat() -> None:
    service = Service()
    lease = Lease(seconds(10), NOON + seconds(20))
    service.go_on(10)
    for length in (1.5, 3):
        beat = service.read()
        service.machine.go_on(length)
        service.lease_clock.record_beat(beat)
        delays = service.elapsed.delays
        service.machine.go_on(0.25)
        assert service.elapsed.delays == delays
        service.go_on(1)
        assert service.elapsed.delays == delays
        if length == 1.5:
            assert delays == (Delay(NOON + seconds(11.5), seconds(1.5)),)
            assert service.elapsed.lease_end(lease) == NOON + seconds(21.5)
    # The second one was a single outage.
    assert service.since_outage == 1.25


def test_a_late_beat_is_a_delay_and_a_very_late_one_an_outage() -> None:
    service = Service()
    service.go_on(10)
    service.machine.go_on(2.25)
    # This applies even before the next beat.
    for _ in range(2):
        (delay,) = service.elapsed.delays
        assert delay == Delay(NOON + seconds(12.25), seconds(2))
        assert (service.since_outage, service.elapsed.since_delay) == (12.25, NONE)
        service.beat()
    service.machine.go_on(2.5)
    service.beat()
    assert (service.since_outage, service.elapsed.delays) == (0, ())


def test_endless_delays_do_not_keep_a_lease_alive() -> None:
    service = Service()
    lease = Lease(seconds(30), NOON + seconds(30))
    while service.lease_clock.seconds_left(lease):
        service.machine.go_on(2)
        service.beat()
        assert service.elapsed.now < NOON + timedelta(hours=1)


def test_a_tolerable_lateness_is_not_an_outage() -> None:
    service = Service()
    service.go_on(10)
    for _ in range(9):
        service.machine.go_on((INTERVAL + TOLERANCE).total_seconds())
        service.beat()
    assert service.since_outage == 16.75


def test_a_forward_step_of_the_clock_is_an_outage_and_is_remembered() -> None:
    service = Service()
    service.go_on(10)
    service.machine.set_clock(HOUR)
    # The monotonic clock does not show the step.
    assert service.elapsed.now == NOON + seconds(10)
    service.beat()
    time, step = NOON + seconds(10 + HOUR), Step(NOON + seconds(10 + HOUR), seconds(HOUR))
    assert service.elapsed == Elapsed(time, NONE, NONE, (), (step,))
    service.go_on(5)
    assert (service.since_outage, service.elapsed.steps) == (5, (step,))


async def test_a_step_forward_and_back_before_the_start_is_detected() -> None:
    service = Service(ahead=HOUR)
    step = Step(NOON + seconds(HOUR), seconds(HOUR))
    assert service.elapsed == Elapsed(NOON + seconds(HOUR), NONE, NONE, (), (step,))
    assert await service.lease_clock.time_without_steps() == NOON
    service.go_on(5)
    assert service.elapsed.steps == (step,)


async def test_a_recorded_time_in_the_past_is_not_a_step() -> None:
    service = Service(ahead=-HOUR)
    assert service.elapsed.steps == ()
    assert await service.lease_clock.time_without_steps() == NOON


def test_a_backward_step_of_the_clock_has_no_effect() -> None:
    service = Service()
    service.go_on(10)
    service.machine.set_clock(-HOUR)
    service.go_on(10)
    assert service.elapsed.now == NOON + seconds(19.99)
    assert (service.since_outage, service.elapsed.steps) == (19.99, ())
