"""Commands of executors: requests and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from runsvc.cli.arguments import STATUS
from runsvc.v1 import run_service_pb2 as pb
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
    ("changed", "message"), [(True, "was applied"), (False, "changed nothing")]
)
def test_set_status(cli: Cli, changed: bool, message: str) -> None:
    cli.script.will("SetStatus", pb.SetStatusResponse(run=RUN, changed=changed))
    result = cli("set-status", "r1", "running", "--worker", "w", "--error", "e")
    assert cli.last_request == pb.SetStatusRequest(
        run_id="r1", status="RUN_STATUS_RUNNING", worker_id="w", error="e"
    )
    assert f"Run r1 is RUNNING: the report {message}." in result.stdout


@pytest.mark.parametrize(
    ("applied", "message"), [(True, "was applied"), (False, "changed nothing")]
)
def test_progress(cli: Cli, applied: bool, message: str) -> None:
    cli.script.will("UpdateProgress", pb.UpdateProgressResponse(run=RUN, applied=applied))
    result = cli(
        *("progress", "r1", "--total-tokens", "0", "--last-ai-message", "hi"),
        *("--sequence", "3", "--final", "--worker", "w"),
    )
    assert cli.last_request == pb.UpdateProgressRequest(
        run_id="r1",
        progress=Progress(total_tokens=0, last_ai_message="hi"),
        sequence=3,
        final=True,
        worker_id="w",
    )
    assert message in result.stdout


@pytest.mark.parametrize("arguments", [(), ("--worker", "w"), ("--sequence", "1")])
def test_progress_without_values_is_a_usage_error(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli("progress", "r1", *arguments)
    assert (result.exit_code, "Nothing to report" in result.stderr) == (2, True)


def test_final_progress_needs_no_values(cli: Cli) -> None:
    cli.script.will("UpdateProgress", pb.UpdateProgressResponse(run=RUN, applied=True))
    assert cli("progress", "r1", "--final").exit_code == 0
    assert cli.last_request == pb.UpdateProgressRequest(run_id="r1", final=True)


def test_complete_without_values_sends_no_progress(cli: Cli) -> None:
    cli.script.will("Complete", pb.CompleteResponse(run=RUN, changed=True))
    assert cli("complete", "r1", "success").exit_code == 0
    assert cli.last_request == pb.CompleteRequest(run_id="r1", status="RUN_STATUS_SUCCESS")


def test_complete_accepts_terminal_statuses_only(cli: Cli) -> None:
    result = cli("complete", "r1", "running")
    assert result.exit_code == 2
    assert "not one of success, error, timeout, interrupted" in result.stderr


def test_a_converted_status_is_not_converted_again() -> None:
    assert STATUS.convert(2, None, None) == 2


@pytest.mark.parametrize("changed", [True, False])
def test_acknowledge(cli: Cli, changed: bool) -> None:
    cli.script.will("AcknowledgeCancel", pb.AcknowledgeCancelResponse(run=RUN, changed=changed))
    result = cli("acknowledge", "r1", "--worker", "w")
    assert cli.last_request == pb.AcknowledgeCancelRequest(run_id="r1", worker_id="w")
    assert ("is acknowledged" in result.stdout) is changed


@pytest.mark.parametrize(("given", "name"), [("gpt", "gpt"), ("--clear", None)])
def test_model(cli: Cli, given: str, name: str | None) -> None:
    run = Run(run_id="r1", model_name=name)
    cli.script.will("UpdateModelName", pb.UpdateModelNameResponse(run=run))
    result = cli("model", "r1", given)
    assert cli.last_request == pb.UpdateModelNameRequest(run_id="r1", model_name=name)
    assert ("the model is gpt" if name else "no model is set") in result.stdout


@pytest.mark.parametrize(
    ("arguments", "number"), [((), "one"), ((" ",), "one"), (("gpt", "--clear"), "only one")]
)
def test_model_is_not_cleared_by_mistake(cli: Cli, arguments: tuple[str, ...], number: str) -> None:
    result = cli("model", "r1", *arguments)
    message = f"Name {number} of NAME and --clear."
    assert (result.exit_code, message in result.stderr) == (2, True)


@pytest.mark.parametrize("command", ["complete", "set-status"])
def test_help_shows_status_as_required(cli: Cli, command: str) -> None:
    shown = cli(command, "--help").stdout
    assert "RUN_ID STATUS" in shown.splitlines()[0]
    assert "success, error, timeout or interrupted" in " ".join(shown.split())


def test_start_may_set_a_lease(cli: Cli) -> None:
    cli.script.will("SetStatus", pb.SetStatusResponse(run=RUN, changed=True))
    cli("set-status", "r1", "running", "--worker", "w", "--lease-ttl", "1m")
    assert (cli.last_request.worker_id, cli.last_request.lease_ttl.seconds) == ("w", 60)
    cli.script.will("SetStatus", pb.SetStatusResponse(run=RUN, changed=True))
    cli("set-status", "r1", "running")
    assert not cli.last_request.HasField("lease_ttl")


def test_heartbeat_shows_when_the_lease_expires(cli: Cli) -> None:
    run = Run()
    run.CopyFrom(RUN)
    cli.script.will("Heartbeat", pb.HeartbeatResponse(run=run))
    result = cli("heartbeat", "r1", "--worker", "w")
    assert cli.last_request == pb.HeartbeatRequest(run_id="r1", worker_id="w")
    assert "Run r1 is RUNNING: it has no lease to renew." in result.stdout
    run.lease.ttl.seconds = 30
    run.lease.expires_at.seconds = 90
    cli.script.will("Heartbeat", pb.HeartbeatResponse(run=run))
    result = cli("heartbeat", "r1", "--worker", "w")
    assert "its lease expires at 1970-01-01 00:01:30Z." in result.stdout
    assert cli("heartbeat", "r1").exit_code == 2
