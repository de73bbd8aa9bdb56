"""Tables of runs: the columns that fit a width."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from runsvc.cli.table import RunsTable
from runsvc.v1.run_pb2 import Lease, Progress, Run
from tests.unit.cli.conftest import lines_of

ID = "01a20f79-45ea-77ce-ac0e-1998161ed4f7"


def stamp(when: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(when)
    return made


def failed(**more: Any) -> Run:
    return Run(
        **{
            "run_id": ID,
            "thread_id": "conversation-4711",
            "status": "RUN_STATUS_ERROR",
            "assistant_id": "demo",
            "worker_id": "worker-1",
            "error": "out of memory while loading the weights",
            "progress": Progress(total_tokens=1_234_567),
            "updated_at": stamp(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
            **more,
        }
    )


@pytest.mark.parametrize(
    ("width", "head"),
    [
        (200, ["RUN", "STATUS", "THREAD", "ASSISTANT", "WORKER", "TOKENS", "UPDATED", "WHY"]),
        (130, ["RUN", "STATUS", "THREAD", "WORKER", "TOKENS", "UPDATED", "WHY"]),
        (100, ["RUN", "STATUS", "THREAD", "TOKENS", "UPDATED", "WHY"]),
        (80, ["RUN", "STATUS", "TOKENS", "UPDATED", "WHY"]),
        (70, ["RUN", "STATUS", "TOKENS", "UPDATED"]),
        (60, ["RUN", "STATUS", "UPDATED"]),
        (45, ["RUN", "STATUS"]),
    ],
)
def test_columns_are_dropped_one_by_one(width: int, head: list[str]) -> None:
    lines = lines_of(RunsTable([failed()]), width)
    assert lines[0].split() == head
    assert len(lines) == 2
    assert len(lines[1]) <= width
    assert lines[1].startswith(ID)
    assert ("1,234,567" in lines[1]) is ("TOKENS" in head)
    assert ("2026-01-02" in lines[1]) is ("UPDATED" in head)
    assert ("out of m" in lines[1]) is ("WHY" in head)


def test_wide_terminal_shows_all_columns() -> None:
    run = failed(status_reason="STATUS_REASON_ORPHANED")
    line = lines_of(RunsTable([run]), 200)[1]
    assert "2026-01-02 03:04:05Z" in line
    assert line.endswith("ORPHANED: out of memory while loading the weights")


def test_narrow_terminal_shortens_times() -> None:
    now = datetime.now(UTC)
    runs = [failed(updated_at=stamp(now)), failed(), failed(updated_at=None)]
    today, before, never = lines_of(RunsTable(runs), 80)[1:]
    assert f"{now:%H:%M:%SZ}" in today
    assert "2026-01-02 " in before
    assert ":" not in never.replace(ID, "")


def test_long_id_is_folded() -> None:
    lines = lines_of(RunsTable([failed()]), 30)
    assert "".join(line.split()[0] for line in lines[1:]) == ID


def test_named_and_empty_columns_are_omitted() -> None:
    run = Run(run_id=ID, thread_id="t", status="RUN_STATUS_PENDING")
    assert lines_of(RunsTable([run], without=("THREAD",)))[0].split() == ["RUN", "STATUS"]


def test_error_is_printed_without_escapes() -> None:
    run = failed(error="\x1b[2J[bold]no\n" + "x" * 20_000)
    (line,) = lines_of(RunsTable([run]), 200)[1:]
    assert "[2J[bold]no xxx" in line
    assert "\x1b" not in line


def test_lease_is_shown_while_the_run_is_active() -> None:
    held = failed(
        status="RUN_STATUS_RUNNING",
        lease=Lease(expires_at=stamp(datetime(2026, 1, 2, 3, 5, tzinfo=UTC))),
    )
    head, line = lines_of(RunsTable([held]), 250)
    assert head.split()[4:6] == ["WORKER", "LEASE"]
    assert "2026-01-02 03:05:00Z" in line
    held.ended_at.seconds = 1
    assert "LEASE" not in lines_of(RunsTable([held]), 250)[0]
