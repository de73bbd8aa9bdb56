"""How outages, delays and steps of the clock move the ends of leases, timeouts and grace periods."""

from __future__ import annotations

from datetime import timedelta

import pytest

from runsvc.core.model import Lease, StatusReason
from runsvc.core.terms import Limit
from runsvc.maintenance.elapsed import Delay, Elapsed, Step
from tests.support.machine import NOON

NONE = timedelta(0)


def seconds(length: float) -> timedelta:
    return timedelta(seconds=length)


def lease_end(ttl: float, renewed: float, elapsed: Elapsed) -> float:
    """The end of a lease, in seconds after noon."""
    lease = Lease(seconds(ttl), NOON + seconds(renewed + ttl))
    return (elapsed.lease_end(lease) - NOON).total_seconds()


def elapsed_with(since_outage: float, *delays: tuple[float, float]) -> Elapsed:
    """A hundred seconds after noon, after delays given by their end and their length."""
    all_delays = [Delay(NOON + seconds(end), seconds(length)) for end, length in delays]
    return Elapsed(NOON + seconds(100), seconds(since_outage), NONE, all_delays)


def test_a_lease_ends_at_its_expires_at() -> None:
    assert lease_end(30, 60, elapsed_with(99)) == 90


def test_after_an_outage_a_lease_has_its_full_ttl() -> None:
    assert lease_end(30, 60, elapsed_with(10)) == 120
    assert lease_end(30, 95, elapsed_with(10)) == 125


def test_delays_since_the_renewal_extend_a_lease() -> None:
    assert lease_end(30, 60, elapsed_with(99, (50, 3), (70, 2), (80, 0.6))) == 92.6
    assert lease_end(30, 60, elapsed_with(30, (80, 3))) == 103


def test_a_delay_that_may_have_prevented_a_renewal_gives_the_lease_its_full_ttl() -> None:
    assert lease_end(6, 60, elapsed_with(99, (63, 2))) == 69
    assert lease_end(6, 60, elapsed_with(99, (63, 2), (65, 1))) == 70
    assert lease_end(6, 60, elapsed_with(99, (63, 1.9))) == 67.9
    assert lease_end(6, 60, elapsed_with(99, (60, 4))) == 66


def limit_end(since: float, *steps: tuple[float, float]) -> float:
    """The end of a timeout of ten seconds, in seconds after noon."""
    all_steps = [Step(NOON + seconds(end), seconds(length)) for end, length in steps]
    limit = Limit(NOON + seconds(since), seconds(10), StatusReason.TIMEOUT_EXCEEDED)
    elapsed = Elapsed(NOON + seconds(100), NONE, NONE, (), all_steps)
    return (elapsed.limit_end(limit) - NOON).total_seconds()


def test_a_timeout_is_extended_by_the_steps_of_the_clock_since_its_start() -> None:
    assert limit_end(5) == 15
    assert limit_end(5, (4, 0.6), (7, 0.6), (3_609, 3_600)) == 3_615.6
    # It started shortly before the step.
    assert limit_end(9.000_01, (3_609, 3_600)) == 3_619.000_01
    # It started after the step, but before the step was detected.
    assert limit_end(3_608, (3_609, 3_600)) == 3_618


@pytest.mark.parametrize(
    ("delays", "steps", "expected"),
    [
        ([], [], 100),
        ([(99, 2)], [], 98),
        # The second delay moves the start of the grace period back to the first one.
        ([(94, 2), (99, 2)], [], 96),
        ([(90, 2), (99, 2)], [], 98),
        # Steps count within the longest grace period.
        ([], [(50, 30)], 70),
        ([], [(39, 30)], 100),
        ([(99, 2)], [(50, 30)], 68),
    ],
)
def test_the_cutoff_is_earlier_by_delays_and_steps(
    delays: list[tuple[float, float]], steps: list[tuple[float, float]], expected: float
) -> None:
    elapsed = Elapsed(
        NOON + seconds(100),
        seconds(99),
        NONE,
        [Delay(NOON + seconds(end), seconds(length)) for end, length in delays],
        [Step(NOON + seconds(end), seconds(length)) for end, length in steps],
    )
    assert elapsed.cutoff(seconds(5), seconds(60)) == NOON + seconds(expected)
