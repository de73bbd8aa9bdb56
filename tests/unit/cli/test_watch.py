"""Watching: lines, JSON, the live table, and how a watch ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from runsvc.cli import render
from runsvc.cli.watch import Board, line_of
from runsvc.v1.run_pb2 import Progress, Run
from runsvc.v1.run_service_pb2 import StreamStatusRequest, StreamStatusResponse
from tests.unit.cli.conftest import Refusal

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


def test_a_run_that_is_gone_did_not_succeed(cli: Cli) -> None:
    cli.script.will("StreamStatus", END)
    assert cli("watch", "r1").exit_code == 6


def test_json_tells_every_event(cli: Cli) -> None:
    cli.script.will("StreamStatus", SNAPSHOT, END, HEARTBEAT)
    result = cli("watch", "--thread", "chat-1", "--json")
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["revision"] for each in told] == ["0", "3", "4"]
    assert result.exit_code == 0


def test_the_options_reach_the_server(cli: Cli) -> None:
    cli.script.will("StreamStatus")
    cli("watch", "--all", "--assistant", "a", "--after", "0", "--progress", "--heartbeat", "1.5")
    asked = StreamStatusRequest(after_revision=0, include_progress=True)
    asked.all.assistant_id = "a"
    asked.heartbeat_interval.FromMilliseconds(1_500)
    assert cli.asked == asked
    cli("watch", "r1", "--until-acknowledged")
    assert cli.asked == StreamStatusRequest(run_id="r1", until_acknowledged=True)


@pytest.mark.parametrize(
    "arguments", [(), ("r1", "--all"), ("--thread", "t", "--all"), ("r1", "--assistant", "a")]
)
def test_there_is_one_thing_to_watch(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli("watch", *arguments).exit_code == 2


def test_a_watch_that_was_refused(cli: Cli) -> None:
    compacted = Refusal(grpc.StatusCode.OUT_OF_RANGE, "Too old.", "REVISION_COMPACTED")
    cli.script.will("StreamStatus", compacted)
    result = cli("watch", "--all", "--after", "1")
    assert result.exit_code == 4
    assert result.stderr == "Error: Too old.\nHint: Watch again without --after\n"


def test_a_watch_that_was_cut_off_says_where_to_go_on(cli: Cli) -> None:
    cli.script.will("StreamStatus", SNAPSHOT, END, Refusal(grpc.StatusCode.UNAVAILABLE, "reset"))
    result = cli("watch", "--all")
    assert result.exit_code == 5
    assert result.stderr.splitlines() == [
        f"Error: The connection to {cli.target} was lost.",
        f"Hint: Go on from here: runsvc watch --all --after 3 --target {cli.target}",
    ]


def test_a_watch_cut_off_inside_its_snapshot_starts_over(cli: Cli) -> None:
    draining = Refusal(grpc.StatusCode.UNAVAILABLE, "Going.", "SERVER_DRAINING", retry=1)
    cli.script.will("StreamStatus", SNAPSHOT, draining)
    result = cli("watch", "--all")
    assert result.stderr == "Error: Going.\nHint: Try again in 1 s\n"


def test_a_terminal_gets_a_table(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "is_live", lambda output: True)
    cli.script.will("StreamStatus", SNAPSHOT, END, changed("SUCCESS"))
    result = cli("watch", "r1")
    assert result.exit_code == 0
    assert "Revision 5. Ctrl-C leaves." in result.stdout
    assert "SUCCESS" in result.stdout


def test_ctrl_c_ends_quietly(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(message: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(render, "as_json", interrupted)
    cli.script.will("StreamStatus", SNAPSHOT)
    result = cli("watch", "--all", "--json")
    assert (result.exit_code, result.output) == (130, "")


def test_progress_is_told_on_its_line() -> None:
    told = run(progress=Progress(total_tokens=3))
    assert line_of(event("PROGRESS", told=told)).endswith("PROGRESS RUNNING total_tokens=3")


def ids(board: Board) -> list[str]:
    return [str(cell) for cell in next(iter(board.table().columns)).cells]


def test_a_board_gives_up_what_has_ended_first() -> None:
    board = Board(rows=2)
    for told in (run(run_id="a"), run("SUCCESS", "b"), run(run_id="c")):
        board.add(event("CHANGED", told=told))
    assert ids(board) == ["a", "c"]
    board.add(event("CHANGED", told=run(run_id="d")))
    assert ids(board) == ["c", "d"]
    board.add(event("DELETED", told=run(run_id="c")))
    assert ids(board) == ["d"]


def test_an_empty_board_has_a_head() -> None:
    heads = [column.header for column in Board(rows=2).table().columns]
    assert heads[:3] == ["RUN", "STATUS", "THREAD"]


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
