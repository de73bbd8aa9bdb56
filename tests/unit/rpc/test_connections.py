"""How old connections are, as far as it is known: whose end may be the transport's doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.rpc import connections
from runsvc.rpc.connections import Connections

if TYPE_CHECKING:
    import pytest


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_one_that_may_have_come_of_age_may_have_been_ended() -> None:
    clock = Clock()
    met = Connections(1_000, 60, clock)
    met.meet("a")
    clock.now += 890
    met.meet("b")
    # Further calls make none younger.
    met.meet("a")
    assert not met.may_be_ended("a")
    clock.now += 10
    assert met.may_be_ended("a")
    assert not met.may_be_ended("b")


def test_one_that_nobody_remembers_may_have_been_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CAPACITY", 2)
    met = Connections(1_000, 60, Clock())
    for peer in "abc":
        met.meet(peer)
    assert [met.may_be_ended(peer) for peer in "abc"] == [True, False, False]


def test_an_address_outlives_its_connection() -> None:
    clock = Clock()
    met = Connections(1_000, 60, clock)
    met.meet("a")
    met.meet("gone")
    clock.now += 1_000
    met.meet("b")
    clock.now += 161
    met.meet("a")
    # The former one's age and grace are over, so this is a new one.
    assert not met.may_be_ended("a")
    # And nothing is kept of those that are over.
    assert list(met._met) == ["b", "a"]
