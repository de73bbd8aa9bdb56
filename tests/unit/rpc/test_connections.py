"""The age of connections, and whether the transport may have closed them for it."""

from __future__ import annotations

from runsvc.rpc.connections import Connections


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_connection_may_be_aged_out_from_the_least_age_on() -> None:
    clock = Clock()
    met = Connections(1_000, 60, clock)
    met.note_call("a")
    clock.now += 890
    met.note_call("b")
    # Further calls make none younger.
    met.note_call("a")
    assert not met.may_be_aged_out("a")
    clock.now += 10
    assert met.may_be_aged_out("a")
    assert not met.may_be_aged_out("b")


def test_a_forgotten_connection_may_be_aged_out() -> None:
    met = Connections(1_000, 60, Clock(), capacity=2)
    for peer in "abc":
        met.note_call(peer)
    assert [met.may_be_aged_out(peer) for peer in "abc"] == [True, False, False]


def test_an_address_that_outlives_a_connection_is_a_new_one() -> None:
    clock = Clock()
    met = Connections(1_000, 60, clock)
    met.note_call("a")
    met.note_call("gone")
    clock.now += 1_000
    met.note_call("b")
    clock.now += 161
    met.note_call("a")
    # The earlier connection's age and grace period are over, so this is a new connection.
    assert not met.may_be_aged_out("a")
    # Connections that have ended are forgotten.
    assert list(met._first_calls) == ["b", "a"]
