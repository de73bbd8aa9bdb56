"""How old connections are, as far as it is known: whose end may be the transport's doing."""

from __future__ import annotations

from runsvc.rpc.connections import Connections


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_one_that_may_have_come_of_age_may_have_been_ended() -> None:
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


def test_one_that_nobody_remembers_may_have_been_ended() -> None:
    met = Connections(1_000, 60, Clock(), capacity=2)
    for peer in "abc":
        met.note_call(peer)
    assert [met.may_be_aged_out(peer) for peer in "abc"] == [True, False, False]


def test_an_address_outlives_its_connection() -> None:
    clock = Clock()
    met = Connections(1_000, 60, clock)
    met.note_call("a")
    met.note_call("gone")
    clock.now += 1_000
    met.note_call("b")
    clock.now += 161
    met.note_call("a")
    # The former one's age and grace are over, so this is a new one.
    assert not met.may_be_aged_out("a")
    # And nothing is kept of those that are over.
    assert list(met._first_calls) == ["b", "a"]
