"""`runsvc watch`: lines, JSON, the live table, reconnects, and exit codes."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from runsvc.cli import render
from runsvc.cli.live_table import LiveTable
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


def event(name: str, revision: int = 0, run: Run | None = None, **more: Any) -> Any:
    return StreamStatusResponse(event=f"STATUS_EVENT_{name}", revision=revision, run=run, **more)


SNAPSHOT = event("SNAPSHOT", run=run())
END = event("SNAPSHOT_END", 3, store_id="s")
HEARTBEAT = event("HEARTBEAT", 4)


def changed(status: str) -> Any:
    ended = run(status, error="\x1b[2Jno\n", updated_at=Timestamp(seconds=1))
    return event("CHANGED", 5, ended, previous_status="RUN_STATUS_RUNNING")


@pytest.mark.parametrize(("status", "code"), [("SUCCESS", 0), ("ERROR", 6)])
def test_watch_of_one_run_ends_with_it(cli: Cli, status: str, code: int) -> None:
    cli.script.will("StreamStatus", SNAPSHOT, END, HEARTBEAT, changed(status))
    result = cli("watch", "r1")
    assert result.exit_code == code
    assert result.stdout.splitlines() == [
        "r1 thread=chat-1 SNAPSHOT RUNNING",
        f"1970-01-01 00:00:01Z r1 thread=chat-1 CHANGED RUNNING -> {status} revision=5 "
        "error= [2Jno ",
    ]


def test_failed_run_is_reported_on_stderr(cli: Cli) -> None:
    cli.script.will("StreamStatus", event("CHANGED", 5, run("ERROR", error="out of\nmemory")))
    assert cli("watch", "r1").stderr == "Run r1 is ERROR: out of memory\n"
    assert cli("watch", "r1", "--json").stderr == ""


@pytest.mark.parametrize(("status", "code"), [("SUCCESS", 0), ("TIMEOUT", 6)])
def test_run_without_events_is_fetched(cli: Cli, status: str, code: int) -> None:
    cli.script.will("StreamStatus", HEARTBEAT)
    cli.script.will("Get", GetResponse(run=run(status)))
    assert cli("watch", "r1", "--after", "9").exit_code == code
    assert cli.last_request == GetRequest(run_id="r1")


def test_removed_run_is_not_successful(cli: Cli) -> None:
    cli.script.will("StreamStatus", event("DELETED", 5, Run(run_id="r1")))
    result = cli("watch", "r1")
    assert (result.exit_code, result.stderr) == (6, "Run r1 was removed\n")


def test_json_prints_every_event(cli: Cli) -> None:
    cli.script.will("StreamStatus", SNAPSHOT, END, HEARTBEAT)
    result = cli("watch", "--thread", "chat-1", "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["revision"] for each in events] == ["0", "3", "4"]
    assert result.exit_code == 0


def test_options_are_sent(cli: Cli) -> None:
    cli.script.will("StreamStatus")
    cli.script.will("Get", GetResponse(run=run()))
    cli("watch", "--all", "--assistant", "a", "--after", "0", "--progress", "--heartbeat", "1.5")
    expected = StreamStatusRequest(after_revision=0, include_progress=True)
    expected.all.assistant_id = "a"
    expected.heartbeat_interval.FromMilliseconds(1_500)
    assert cli.last_request == expected
    cli("watch", "r1", "--until-acknowledged", "--attach")
    assert cli.script.asked[-2] == StreamStatusRequest(
        run_id="r1", until_acknowledged=True, attach=True
    )


@pytest.mark.parametrize(
    "arguments", [(), ("r1", "--all"), ("--thread", "t", "--all"), ("r1", "--assistant", "a")]
)
def test_watch_needs_exactly_one_target(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli("watch", *arguments)
    assert result.exit_code == 2
    if arguments[1:] == ("--all",):
        assert "Name only one of RUN_ID, --thread and --all." in result.stderr


def test_rejected_watch(cli: Cli) -> None:
    compacted = Refusal(grpc.StatusCode.OUT_OF_RANGE, "Too old.", "REVISION_COMPACTED")
    cli.script.will("StreamStatus", compacted)
    result = cli("watch", "--all", "--after", "1")
    assert result.exit_code == 4
    assert result.stderr == "Error: Too old.\nHint: Start the watch again without --after\n"


GONE = Refusal(grpc.StatusCode.UNAVAILABLE, "reset")
LOST = "The connection was lost. Reconnecting.\n"


def test_lost_connection_is_resumed(cli: Cli) -> None:
    cli.script.will("StreamStatus", [SNAPSHOT, END, GONE], [GONE], [changed("SUCCESS")])
    result = cli("watch", "r1")
    assert (result.exit_code, result.stderr) == (0, LOST)
    first, last = result.stdout.splitlines()
    assert "SNAPSHOT RUNNING" in first
    assert "CHANGED RUNNING -> SUCCESS" in last
    assert cli.last_request == StreamStatusRequest(run_id="r1", after_revision=3, store_id="s")


def test_each_outage_is_reported_once(cli: Cli) -> None:
    cli.script.will("StreamStatus", [SNAPSHOT, END, GONE], [GONE], [changed("RUNNING"), GONE])
    cli.script.will("StreamStatus", [GONE], [changed("SUCCESS")])
    result = cli("watch", "r1")
    assert (result.exit_code, result.stderr) == (0, LOST * 2)


def test_json_hides_reconnects(cli: Cli) -> None:
    cli.script.will("StreamStatus", [SNAPSHOT, END, GONE], [changed("SUCCESS")])
    result = cli("watch", "r1", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 3


def test_failed_watch_suggests_how_to_resume(cli: Cli) -> None:
    cli.script.will("StreamStatus", SNAPSHOT, END, GONE)
    result = cli("watch", "--all", "--outage", "0")
    assert result.exit_code == 5
    assert result.stderr.splitlines() == [
        f"Error: The connection to {cli.target} was lost.",
        f"Hint: Resume with: runsvc watch --all --outage 0 --after 3 --target {cli.target}",
    ]


def test_watch_does_not_wait_before_the_first_event(cli: Cli) -> None:
    draining = Refusal(grpc.StatusCode.UNAVAILABLE, "Stopping.", "SERVER_DRAINING", retry=1)
    cli.script.will("StreamStatus", [draining])
    result = cli("watch", "--all")
    assert (result.exit_code, result.stdout) == (5, "")
    assert result.stderr == "Error: Stopping.\nHint: Try again in 1 s\n"


def test_compacted_log_gets_no_resume_hint(cli: Cli) -> None:
    compacted = Refusal(grpc.StatusCode.OUT_OF_RANGE, "Too old.", "REVISION_COMPACTED")
    cli.script.will("StreamStatus", [SNAPSHOT, END, GONE], [compacted])
    result = cli("watch", "--all")
    assert result.exit_code == 4
    assert result.stderr == f"{LOST}Error: Too old.\nHint: Start the watch again\n"


def test_live_table_shows_a_lost_connection() -> None:
    table = LiveTable("runs")
    table.mark_disconnected()
    assert lines_of(table) == [
        "Disconnected, reconnecting. Waiting for runs… Press Ctrl-C to stop."
    ]
    table.add(SNAPSHOT)
    table.mark_disconnected()
    assert lines_of(table)[-1] == "Revision 0. Disconnected, reconnecting. Press Ctrl-C to stop."
    table.add(END)
    assert lines_of(table)[-1] == "Revision 3. Press Ctrl-C to stop."


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """First frames of the live tables. Rich's screen is replaced."""
    waits: list[str] = []

    class Screen(AbstractContextManager[None]):
        def __init__(self, table: Any, **_settings: Any) -> None:
            waits.append("\n".join(lines_of(table)))

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(render, "is_live", lambda output: True)
    monkeypatch.setattr("runsvc.cli.watch.Live", Screen)
    return waits


@pytest.mark.parametrize(
    ("target", "subject"),
    [
        (("r1",), "run r1"),
        (("--thread", "chat-1"), "runs of thread chat-1"),
        (("--all",), "runs"),
        (("--all", "--assistant", "a"), "runs of assistant a"),
    ],
)
def test_terminal_shows_a_table_that_stays(
    cli: Cli, frames: list[str], target: tuple[str, ...], subject: str
) -> None:
    cli.script.will("StreamStatus", SNAPSHOT, END, changed("SUCCESS"))
    result = cli("watch", *target)
    assert result.exit_code == 0
    assert frames == [f"Waiting for {subject}… Press Ctrl-C to stop."]
    head, row, caption = result.stdout.splitlines()
    assert "SUCCESS" in row
    assert caption.strip() == "Revision 5."
    assert ("THREAD" in head) is ("--thread" not in target)


def test_watch_without_runs_prints_nothing(cli: Cli, frames: list[str]) -> None:
    cli.script.will("StreamStatus", END)
    assert cli("watch", "--all").output == ""
    assert len(frames) == 1


def test_ctrl_c_exits_silently(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(message: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(render, "as_json", interrupted)
    cli.script.will("StreamStatus", END)
    result = cli("watch", "--all", "--json")
    assert (result.exit_code, result.output) == (130, "")


def test_progress_is_part_of_its_line() -> None:
    reported = run(progress=Progress(total_tokens=3))
    assert line_of(event("PROGRESS", run=reported)).endswith("PROGRESS RUNNING total_tokens=3")


def test_only_terminals_are_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(force_terminal=True, force_interactive=True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert render.is_live(console)
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert not render.is_live(console)


def test_unknown_enum_values_are_numbers() -> None:
    newer = run()
    newer.status = 77  # type: ignore[assignment]
    assert render.status_of(newer) == "77"
    newer.status_reason = 1  # type: ignore[assignment]
    assert render.status_of(newer) == "77 (CANCEL_REQUESTED)"
