"""The live table: which runs a screen of some size shows, and what is said below them."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from runsvc.cli.board import Board, ended_by_sigterm
from runsvc.v1.run_pb2 import Progress, Run
from runsvc.v1.run_service_pb2 import StreamStatusResponse
from tests.unit.cli.conftest import lines_of


def told(run_id: str, status: str = "RUNNING", event: str = "CHANGED", **more: Any) -> Any:
    run = Run(run_id=run_id, status=f"RUN_STATUS_{status}", **more)
    return StreamStatusResponse(event=f"STATUS_EVENT_{event}", revision=3, run=run)


def board(*events: Any) -> Board:
    made = Board("runs")
    for event in events:
        made.add(event)
    return made


def ids(shown: Board, runs: int = 9) -> list[str]:
    return [line.split()[0] for line in lines_of(shown, height=runs + 2)[1:-1]]


def test_what_has_ended_gives_way_first() -> None:
    events = (told("a"), told("b", "SUCCESS"), told("c"), told("d", "ERROR"))
    assert ids(board(*events)) == ["a", "b", "c", "d"]
    assert ids(board(*events), runs=3) == ["a", "c", "d"]
    assert ids(board(*events), runs=2) == ["a", "c"]
    assert ids(board(*events), runs=1) == ["c"]


def test_what_changed_last_is_at_the_bottom() -> None:
    events = (told("a"), told("b"), told("a", "ERROR"))
    assert ids(board(*events)) == ["b", "a"]
    assert ids(board(*events, told("b", event="DELETED"))) == ["a"]


def test_a_run_that_only_makes_progress_stays_in_its_place() -> None:
    progress = told("a", event="PROGRESS", progress=Progress(total_tokens=7))
    shown = board(told("a"), told("b"), progress)
    assert ids(shown) == ["a", "b"]
    assert lines_of(shown)[1].split()[-1] == "7"


def test_active_runs_that_do_not_fit_are_counted() -> None:
    shown = board(*(told(f"r{number}") for number in range(1_300)))
    lines = lines_of(shown, height=24)
    assert len(lines) == 24
    assert lines[-2].startswith("r1299")
    assert lines[-1] == "… and 1,278 more active. Revision 3. Ctrl-C leaves."


def test_ended_runs_do_not_pile_up() -> None:
    shown = board(*(told(f"r{number}", "SUCCESS") for number in range(600)))
    assert len(ids(shown, runs=1_000)) == 500


def test_nothing_to_see_yet() -> None:
    empty = board(StreamStatusResponse(event="STATUS_EVENT_HEARTBEAT", revision=1))
    assert lines_of(empty) == ["Waiting for runs… Ctrl-C leaves."]
    assert empty.left(24) is None


def test_what_stays_fits_above_the_prompt() -> None:
    left = board(*(told(f"r{number}") for number in range(30))).left(10)
    lines = lines_of(left)
    assert len(lines) == 9
    assert lines[-1] == "… and 23 more active. Revision 3."


def test_sigterm_leaves_in_order() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught, ended_by_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
