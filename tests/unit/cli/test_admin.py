"""`runsvc admin`: requests and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from google.protobuf.timestamp_pb2 import Timestamp

from runsvc.cli import main
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


NEW, OLD = (admin.GetServerInfoResponse(version=version) for version in ("0.2.0", "0.1.0"))


def test_a_dry_run_shows_the_runs_that_would_end(cli: Cli) -> None:
    cli.script.will("GetServerInfo", NEW)
    cli.script.will("ReconcileOrphans", admin.ReconcileOrphansResponse(runs=[RUN], more=True))
    arguments = ("--status", "running", "--status", "pending", "--assistant", "writer")
    result = cli("admin", "reconcile", "--dry-run", *arguments)
    assert cli.last_request == admin.ReconcileOrphansRequest(
        dry_run=True, statuses=["RUN_STATUS_RUNNING", "RUN_STATUS_PENDING"], assistant_id="writer"
    )
    assert result.stdout.splitlines()[0] == "Would end 1 run as ERROR. There are more."
    assert "r1" in result.stdout


@pytest.mark.parametrize(
    "option", [("--dry-run",), ("--status", "running"), ("--assistant", "writer")]
)
def test_a_server_that_would_ignore_an_option_is_not_asked(
    cli: Cli, option: tuple[str, ...]
) -> None:
    cli.script.will("GetServerInfo", OLD)
    result = cli("admin", "reconcile", *option)
    assert result.exit_code == 1
    assert "has version 0.1.0" in result.stderr
    assert cli.script.asked == [admin.GetServerInfoRequest()]


def test_only_an_active_status_can_be_selected(cli: Cli) -> None:
    result = cli("admin", "reconcile", "--status", "success")
    assert (result.exit_code, cli.script.asked) == (2, [])
    assert "Invalid value for '--status': 'success' is not one of pending, running." in (
        result.stderr
    )


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who can be asked."""
    monkeypatch.setattr("runsvc.cli.reconcile.is_terminal", lambda: True)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
def test_reconcile_asks_on_a_terminal(cli: Cli, answer: str, status: int) -> None:
    found = admin.ReconcileOrphansResponse(runs=[RUN, Run(status="RUN_STATUS_PENDING")], more=True)
    cli.script.will("GetServerInfo", NEW)
    cli.script.will("ReconcileOrphans", found, admin.ReconcileOrphansResponse())
    arguments = ["admin", "reconcile", "--before", "1970-01-01T00:01:00Z", "--target", cli.target]
    result = CliRunner().invoke(main, arguments, input=answer)
    assert result.exit_code == status
    question = (
        f"{cli.target} has 2 runs without a live lease: 1 PENDING, 1 RUNNING. There are more."
    )
    assert question in result.stderr
    dry, ending = (
        admin.ReconcileOrphansRequest(before=Timestamp(seconds=60), dry_run=dry)
        for dry in (True, False)
    )
    assert cli.script.asked[1:] == ([dry] if status else [dry, ending])


@pytest.mark.usefixtures("terminal")
def test_reconcile_does_not_ask_when_there_is_nothing_to_end(cli: Cli) -> None:
    cli.script.will("GetServerInfo", NEW)
    cli.script.will("ReconcileOrphans", *[admin.ReconcileOrphansResponse()] * 2)
    result = cli("admin", "reconcile")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "Ended 0 runs as ERROR. None are left.\n"


@pytest.mark.usefixtures("terminal")
def test_reconcile_does_not_ask_with_yes(cli: Cli) -> None:
    cli.script.will("ReconcileOrphans", admin.ReconcileOrphansResponse())
    assert cli("admin", "reconcile", "--yes").exit_code == 0
    assert cli.script.asked == [admin.ReconcileOrphansRequest()]


def test_help_of_reconcile_names_the_runs_that_end(cli: Cli) -> None:
    shown = " ".join(cli("admin", "reconcile", "--help").stdout.split())
    assert "PENDING runs that no executor has started yet" in shown
    assert "RUNNING runs without a lease whose executors are alive" in shown
