"""The token buckets of owners."""

from __future__ import annotations

import pytest

from runsvc.rpc.limits import BURST, URGENT_BURST, Rates


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(rates: Rates, owner: str, burst: float, asked: int) -> int:
    return sum(rates.take(owner, burst) for _ in range(asked))


def test_an_owner_saves_up_a_burst_and_then_gets_its_rate(clock: Clock) -> None:
    rates = Rates(10, clock)
    assert taken(rates, "a", BURST, 50) == 10
    clock.now += 0.51
    assert taken(rates, "a", BURST, 50) == 5
    clock.now += 1_000
    assert taken(rates, "a", BURST, 50) == 10


def test_owners_do_not_share_a_bucket(clock: Clock) -> None:
    rates = Rates(10, clock)
    assert taken(rates, "a", BURST, 50) == 10
    assert taken(rates, "b", BURST, 50) == 10


def test_urgent_calls_have_room_beside_a_flood(clock: Clock) -> None:
    rates = Rates(10, clock)
    for _ in range(100):
        taken(rates, "a", BURST, 20)
        # As many as the rate, for ten seconds.
        assert rates.take("a", URGENT_BURST)
        clock.now += 0.1
    assert taken(rates, "a", URGENT_BURST, 50) < 50


def test_a_low_rate_lets_single_calls_pass(clock: Clock) -> None:
    rates = Rates(1, clock)
    assert taken(rates, "a", BURST, 5) == 1
    clock.now += 1
    assert taken(rates, "a", BURST, 5) == 1


def test_full_buckets_are_forgotten(clock: Clock) -> None:
    rates = Rates(10, clock)
    for number in range(1_000):
        assert rates.take(f"owner-{number}", BURST)
    assert len(rates) == 1_000
    clock.now += 3
    assert rates.take("a", BURST)
    assert len(rates) == 1


def test_without_a_limit_nothing_is_counted(clock: Clock) -> None:
    rates = Rates(None, clock)
    assert taken(rates, "a", BURST, 1_000) == 1_000
    assert len(rates) == 0
