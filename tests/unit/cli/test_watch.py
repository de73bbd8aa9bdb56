"""Watching: lines, JSON, the live table, and how a watch ends."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from runsvc.cli import render
from runsvc.cli.board import Board
from runsvc.cli.watch import line_of
from runsvc.v1.run_pb2 import Progress, Run
from runsvc.v1.run_service_pb2 import (
    GetRequest,
    GetResponse,
    StreamStatusRequest,
    StreamStatusResponse,
)
from tests.support.scripted import Refusal
from tests.unit.cli.conftest import lines_of

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Cli


def run(status: str = "RUNNING", run_id: str = "r1", **more: Any) -> Run:
    return Run(run_id=run_id, thread_id="chat-1", status=f"RUN_STATUS_{status}", **more)


def event(name: str, revision: int = 0, told: Run | None = None, **more: Any) -> Any:
    return StreamStatusResponse(event=f"STATUS_EVENT_{name}", revision=revision, run=told, **more)


SNAPSHOT = event("SNAPSHOT", told=run())
END = event("SNAPSHOT_END", 3, store_id="s")
HEARTBEAT = event("HEARTBEAT", 4)


def changed(status: str) -> Any:
    told = run(status, error="\x1b[2Jno\n", updated_at=Timestamp(seconds=1))
    return event("CHANGED", 5, told, previous_status="RUN_STATUS_RUNNING")


@pytest.mark.parametrize(("status", "code"), [("SUCCESS", 0), ("ERROR", 6)])
def test_a_watch_of_one_run_ends_with_it(cli: Cli, status: str, code: int) -> None:
    cli.script.will("StreamStatus", SNAPSHOT, END, HEARTBEAT, changed(status))
    result = cli("watch", "r1")
    assert result.exit_code == code
    assert result.stdout.splitlines() == [
        "r1 thread=chat-1 SNAPSHOT RUNNING",
        f"1970-01-01 00:00:01Z r1 thread=chat-1 CHANGED RUNNING -> {status} revision=5 "
        "error= [2Jno ",
    ]


def test_how_a_run_failed_is_said_once_more(cli: Cli) -> None:
    cli.script.will("StreamStatus", event("CHANGED", 5, run("ERROR", error="out of\nmemory")))
    assert cli("watch", "r1").stderr == "Run r1 is ERROR: out of memory\n"
    assert cli("watch", "r1", "--json").stderr == ""


@pytest.mark.parametrize(("status", "code"), [("SUCCESS", 0), ("TIMEOUT", 6)])
def test_a_run_that_nothing_was_left_to_tell_of_is_asked_for(
    cli: Cli, status: str, code: int
) -> None:
    cli.script.will("StreamStatus", HEARTBEAT)
    cli.script.will("Get", GetResponse(run=run(status)))
    assert cli("watch", "r1", "--after", "9").exit_code == code
    assert cli.asked == GetRequest(run_id="r1")


def test_a_run_that_was_removed_did_not_succeed(cli: Cli) -> None:
    cli.script.will("StreamStatus", event("DELETED", 5, Run(run_id="r1")))
    result = cli("watch", "r1")
    assert (result.exit_code, result.stderr) == (6, "Run r1 was removed\n")


def test_json_tells_every_event(cli: Cli) -> None:
    cli.script.will("StreamStatus", SNAPSHOT, END, HEARTBEAT)
    result = cli("watch", "--thread", "chat-1", "--json")
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["revision"] for each in told] == ["0", "3", "4"]
    assert result.exit_code == 0


def test_the_options_reach_the_server(cli: Cli) -> None:
    cli.script.will("StreamStatus")
    cli.script.will("Get", GetResponse(run=run()))
    cli("watch", "--all", "--assistant", "a", "--after", "0", "--progress", "--heartbeat", "1.5")
    asked = StreamStatusRequest(after_revision=0, include_progress=True)
    asked.all.assistant_id = "a"
    asked.heartbeat_interval.FromMilliseconds(1_500)
    assert cli.asked == asked
    cli("watch", "r1", "--until-acknowledged", "--attach")
    assert cli.script.asked[-2] == StreamStatusRequest(
        run_id="r1", until_acknowledged=True, attach=True
    )


@pytest.mark.parametrize(
    "arguments", [(), ("r1", "--all"), ("--thread", "t", "--all"), ("r1", "--assistant", "a")]
)
def test_there_is_one_thing_to_watch(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli("watch", *arguments)
    assert result.exit_code == 2
    if arguments[1:] == ("--all",):
        assert "Name only one of RUN_ID, --thread or --all." in result.stderr


def test_a_watch_that_was_refused(cli: Cli) -> None:
    compacted = Refusal(grpc.StatusCode.OUT_OF_RANGE, "Too old.", "REVISION_COMPACTED")
    cli.script.will("StreamStatus", compacted)
    result = cli("watch", "--all", "--after", "1")
    assert result.exit_code == 4
    assert result.stderr == "Error: Too old.\nHint: Watch again without --after\n"


GONE = Refusal(grpc.StatusCode.UNAVAILABLE, "reset")
LOST = "The connection was lost: trying again.\n"


def test_a_watch_that_was_cut_off_goes_on(cli: Cli) -> None:
    cli.script.will("StreamStatus", [SNAPSHOT, END, GONE], [GONE], [changed("SUCCESS")])
    result = cli("watch", "r1")
    assert (result.exit_code, result.stderr) == (0, LOST * 2)
    first, last = result.stdout.splitlines()
    assert "SNAPSHOT RUNNING" in first
    assert "CHANGED RUNNING -> SUCCESS" in last
    assert cli.asked == StreamStatusRequest(run_id="r1", after_revision=3, store_id="s")


def test_programs_are_not_told_of_what_is_made_up_for(cli: Cli) -> None:
    cli.script.will("StreamStatus", [SNAPSHOT, END, GONE], [changed("SUCCESS")])
    result = cli("watch", "r1", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 3


def test_a_watch_that_was_cut_off_for_good_says_where_to_go_on(cli: Cli) -> None:
    cli.script.will("StreamStatus", SNAPSHOT, END, GONE)
    result = cli("watch", "--all", "--outage", "0")
    assert result.exit_code == 5
    assert result.stderr.splitlines() == [
        f"Error: The connection to {cli.target} was lost.",
        f"Hint: Go on from here: runsvc watch --all --outage 0 --after 3 --target {cli.target}",
    ]


def test_a_server_that_goes_before_anything_came_is_not_waited_for(cli: Cli) -> None:
    draining = Refusal(grpc.StatusCode.UNAVAILABLE, "Going.", "SERVER_DRAINING", retry=1)
    cli.script.will("StreamStatus", [draining])
    result = cli("watch", "--all")
    assert (result.exit_code, result.stdout) == (5, "")
    assert result.stderr == "Error: Going.\nHint: Try again in 1 s\n"


def test_a_log_that_was_cut_off_meanwhile_is_no_place_to_go_on_from(cli: Cli) -> None:
    compacted = Refusal(grpc.StatusCode.OUT_OF_RANGE, "Too old.", "REVISION_COMPACTED")
    cli.script.will("StreamStatus", [SNAPSHOT, END, GONE], [compacted])
    result = cli("watch", "--all")
    assert result.exit_code == 4
    assert result.stderr == f"{LOST}Error: Too old.\nHint: Watch again\n"


def test_a_live_table_tells_that_the_connection_is_lost() -> None:
    board = Board("runs")
    board.lost()
    assert lines_of(board) == ["No connection, trying again. Waiting for runs… Ctrl-C leaves."]
    board.add(SNAPSHOT)
    board.lost()
    assert lines_of(board)[-1] == "Revision 0. No connection, trying again. Ctrl-C leaves."
    board.add(END)
    assert lines_of(board)[-1] == "Revision 3. Ctrl-C leaves."


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a live watch waits for; the screen itself is rich's."""
    waits: list[str] = []

    class Screen(AbstractContextManager[None]):
        def __init__(self, board: Any, **_settings: Any) -> None:
            waits.append("\n".join(lines_of(board)))

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(render, "is_live", lambda output: True)
    monkeypatch.setattr("runsvc.cli.watch.Live", Screen)
    return waits


@pytest.mark.parametrize(
    ("target", "subject"),
    [
        (("r1",), "run r1"),
        (("--thread", "chat-1"), "runs on chat-1"),
        (("--all",), "runs"),
        (("--all", "--assistant", "a"), "runs of a"),
    ],
)
def test_a_terminal_gets_a_table_that_stays_when_it_is_left(
    cli: Cli, frames: list[str], target: tuple[str, ...], subject: str
) -> None:
    cli.script.will("StreamStatus", SNAPSHOT, END, changed("SUCCESS"))
    result = cli("watch", *target)
    assert result.exit_code == 0
    assert frames == [f"Waiting for {subject}… Ctrl-C leaves."]
    head, row, caption = result.stdout.splitlines()
    assert "SUCCESS" in row
    assert caption.strip() == "Revision 5."
    assert ("THREAD" in head) is ("--thread" not in target)


def test_a_watch_without_runs_leaves_nothing(cli: Cli, frames: list[str]) -> None:
    cli.script.will("StreamStatus", END)
    assert cli("watch", "--all").output == ""
    assert len(frames) == 1


def test_ctrl_c_ends_quietly(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(message: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(render, "as_json", interrupted)
    cli.script.will("StreamStatus", END)
    result = cli("watch", "--all", "--json")
    assert (result.exit_code, result.output) == (130, "")


def test_progress_is_told_on_its_line() -> None:
    told = run(progress=Progress(total_tokens=3))
    assert line_of(event("PROGRESS", told=told)).endswith("PROGRESS RUNNING total_tokens=3")


def test_only_a_terminal_is_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(force_terminal=True, force_interactive=True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert render.is_live(console)
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert not render.is_live(console)


def test_a_newer_server_may_send_unknown_numbers() -> None:
    told = run()
    told.status = 77  # type: ignore[assignment]
    assert render.status_of(told) == "77"
    told.status_reason = 1  # type: ignore[assignment]
    assert render.status_of(told) == "77 (CANCEL_REQUESTED)"
