"""The signals that stop a server. Each test sends them to this process."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from runsvc.stop_signals import REPEAT, StopSignals

if TYPE_CHECKING:
    from collections.abc import Iterator

TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP


class Process:
    """A server process: it counts its stops, and its clock can be set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stops = 0
        self.time = 0.0
        self._monkeypatch = monkeypatch
        StopSignals(self._stop, lambda: self.time).install()

    def receive(self, number: int) -> None:
        signal.raise_signal(number)

    def ended_by(self, number: int) -> bool:
        """Return True if a signal ends the process at once."""
        raised: list[int] = []
        send = signal.raise_signal
        with self._monkeypatch.context() as patch:
            patch.setattr(signal, "raise_signal", raised.append)
            send(number)
        return raised == [number] and signal.getsignal(number) is signal.SIG_DFL

    def _stop(self) -> None:
        self.stops += 1


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    handlers = {number: signal.getsignal(number) for number in (TERM, INT, HUP)}
    signal.signal(HUP, signal.SIG_DFL)
    yield Process(monkeypatch)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [TERM, INT, HUP])
def test_a_signal_that_repeats_within_a_second_is_one_stop(process: Process, number: int) -> None:
    process.receive(number)
    process.time = REPEAT * 0.99
    assert not process.ended_by(number)
    assert process.stops == 1


@pytest.mark.parametrize("number", [TERM, INT])
def test_a_second_signal_ends_the_process(process: Process, number: int) -> None:
    process.receive(number)
    process.time = REPEAT
    assert process.ended_by(number)


def test_another_signal_ends_the_process_at_once(process: Process) -> None:
    process.receive(INT)
    assert process.ended_by(TERM)


def test_a_hangup_never_ends_a_drain(process: Process) -> None:
    process.receive(TERM)
    process.time = REPEAT * 10
    assert not process.ended_by(HUP)
    assert process.stops == 1


def test_a_signal_that_follows_a_hangup_is_the_same_stop_for_a_second(process: Process) -> None:
    process.receive(HUP)
    assert not process.ended_by(TERM)
    process.time = REPEAT
    assert process.ended_by(TERM)


def test_an_ignored_hangup_stays_ignored(monkeypatch: pytest.MonkeyPatch, process: Process) -> None:
    signal.signal(HUP, signal.SIG_IGN)
    other = Process(monkeypatch)
    other.receive(HUP)
    assert (process.stops, other.stops) == (0, 0)
