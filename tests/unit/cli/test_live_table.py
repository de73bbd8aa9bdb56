"""The live table: the runs that fit on a screen, and the caption below them."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from runsvc.cli.live_table import LiveTable, exit_on_sigterm
from runsvc.v1.run_pb2 import Progress, Run
from runsvc.v1.run_service_pb2 import StreamStatusResponse
from tests.unit.cli.conftest import lines_of


def event(run_id: str, status: str = "RUNNING", name: str = "CHANGED", **more: Any) -> Any:
    run = Run(run_id=run_id, status=f"RUN_STATUS_{status}", **more)
    return StreamStatusResponse(event=f"STATUS_EVENT_{name}", revision=3, run=run)


def table(*events: Any) -> LiveTable:
    made = LiveTable("runs")
    for each in events:
        made.add(each)
    return made


def ids(shown: LiveTable, runs: int = 9) -> list[str]:
    return [line.split()[0] for line in lines_of(shown, height=runs + 2)[1:-1]]


def test_terminal_runs_are_dropped_first() -> None:
    events = (event("a"), event("b", "SUCCESS"), event("c"), event("d", "ERROR"))
    assert ids(table(*events)) == ["a", "b", "c", "d"]
    assert ids(table(*events), runs=3) == ["a", "c", "d"]
    assert ids(table(*events), runs=2) == ["a", "c"]
    assert ids(table(*events), runs=1) == ["c"]


def test_last_changed_run_is_at_the_bottom() -> None:
    events = (event("a"), event("b"), event("a", "ERROR"))
    assert ids(table(*events)) == ["b", "a"]
    assert ids(table(*events, event("b", name="DELETED"))) == ["a"]


def test_progress_keeps_the_row_in_its_place() -> None:
    progress = event("a", name="PROGRESS", progress=Progress(total_tokens=7))
    shown = table(event("a"), event("b"), progress)
    assert ids(shown) == ["a", "b"]
    assert lines_of(shown)[1].split()[-1] == "7"


def test_hidden_active_runs_are_counted() -> None:
    shown = table(*(event(f"r{number}") for number in range(1_300)))
    lines = lines_of(shown, height=24)
    assert len(lines) == 24
    assert lines[-2].startswith("r1299")
    assert lines[-1] == "… and 1,278 more active. Revision 3. Press Ctrl-C to stop."


def test_number_of_terminal_runs_is_limited() -> None:
    shown = table(*(event(f"r{number}", "SUCCESS") for number in range(600)))
    assert len(ids(shown, runs=1_000)) == 500


def test_table_without_runs() -> None:
    empty = table(StreamStatusResponse(event="STATUS_EVENT_HEARTBEAT", revision=1))
    assert lines_of(empty) == ["Waiting for runs… Press Ctrl-C to stop."]
    assert empty.final_view(24) is None


def test_final_view_leaves_a_line_for_the_prompt() -> None:
    view = table(*(event(f"r{number}") for number in range(30))).final_view(10)
    lines = lines_of(view)
    assert len(lines) == 9
    assert lines[-1] == "… and 23 more active. Revision 3."


def test_sigterm_exits_and_restores_the_handler() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught, exit_on_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
