"""`runsvc admin`: requests and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from runsvc.v1 import admin_service_pb2 as admin
from runsvc.v1.run_pb2 import Progress, Run

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Cli


RUN = Run(
    run_id="r1",
    thread_id="chat-1",
    status="RUN_STATUS_RUNNING",
    revision=7,
    created_at=Timestamp(seconds=1),
    updated_at=Timestamp(seconds=61),
    progress=Progress(total_tokens=1_200),
)


@pytest.mark.parametrize(
    ("runs", "more", "message"),
    [
        ([], False, "Ended 0 runs as ERROR. None are left."),
        ([RUN], True, "Ended 1 run as ERROR. More are left: repeat the command."),
        ([RUN, RUN], False, "Ended 2 runs as ERROR. None are left."),
    ],
)
def test_reconcile(cli: Cli, runs: list[Run], more: bool, message: str) -> None:
    cli.script.will("ReconcileOrphans", admin.ReconcileOrphansResponse(runs=runs, more=more))
    result = cli("admin", "reconcile", "--error", "gone", "--limit", "1")
    assert cli.last_request == admin.ReconcileOrphansRequest(error="gone", limit=1)
    assert result.stdout.splitlines()[0] == message


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("1970-01-01T00:01:00Z", 60),
        ("1970-01-01T01:01:00+01:00", 60),
        ("1970-01-01T00:01Z", 60),
    ],
)
def test_reconcile_before_a_time(cli: Cli, given: str, seconds: int) -> None:
    cli.script.will("ReconcileOrphans", admin.ReconcileOrphansResponse())
    cli("admin", "reconcile", "--before", given)
    assert cli.last_request == admin.ReconcileOrphansRequest(before=Timestamp(seconds=seconds))


def test_invalid_time_is_a_usage_error(cli: Cli) -> None:
    result = cli("admin", "reconcile", "--before", "yesterday")
    assert result.exit_code == 2
    assert "'yesterday' is not a time. Write it as 2026-11-24T09:30:00Z." in result.stderr


@pytest.mark.parametrize("given", ["1970-01-01T00:01:00", "1970-01-02"])
def test_time_without_a_zone_is_a_usage_error(cli: Cli, given: str) -> None:
    result = cli("admin", "reconcile", "--before", given)
    assert (result.exit_code, cli.script.asked) == (2, [])
    assert f"'{given}' has no time zone. Write it as 1970-01-0" in result.stderr


def test_delete(cli: Cli) -> None:
    cli.script.will("Delete", admin.DeleteResponse(), admin.DeleteResponse())
    assert cli("admin", "delete", "r1").stdout == "Removed run r1.\n"
    assert cli("admin", "delete", "r1", "--json").stdout == "{}\n"


def test_info_shows_zeros_too(cli: Cli) -> None:
    cli.script.will("GetServerInfo", admin.GetServerInfoResponse(version="9.9"))
    lines = cli("admin", "info").stdout.splitlines()
    assert lines[0].split() == ["version", "9.9"]
    assert ["active_runs", "0"] in [line.split() for line in lines]
