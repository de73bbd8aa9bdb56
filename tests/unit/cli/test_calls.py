"""Every call: its request, and its answer for people and programs."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import trustme
from google.protobuf.timestamp_pb2 import Timestamp

from runsvc.cli.arguments import STATUS
from runsvc.v1 import admin_service_pb2 as admin
from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_pb2 import Progress, Run
from tests.support.scripted import Refusal

if TYPE_CHECKING:
    from pathlib import Path

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
CANCELLED = Run(
    run_id="r0",
    status="RUN_STATUS_INTERRUPTED",
    status_reason="STATUS_REASON_SUPERSEDED",
)


def test_create_sends_all_options(cli: Cli) -> None:
    cli.script.will("CreateOrReject", pb.CreateOrRejectResponse(run=RUN, superseded=[CANCELLED]))
    result = cli(
        *("create", "chat-1", "--assistant", "a", "--metadata", '{"k": 1}', "--kwargs", "{}"),
        *("--strategy", "INTERRUPT", "--on-disconnect", "continue", "--model", "m"),
        *("--worker", "w", "--request-id", "q"),
        *("--lease-ttl", "30", "--start-timeout", "5m", "--run-timeout", "1h30m"),
    )
    assert result.exit_code == 0, result.output
    spec = cli.last_request.spec
    assert (cli.last_request.request_id, spec.thread_id, spec.assistant_id) == ("q", "chat-1", "a")
    assert (dict(spec.metadata), spec.HasField("kwargs")) == ({"k": 1}, True)
    assert (spec.multitask_strategy, spec.on_disconnect) == (2, 2)
    assert (spec.model_name, spec.worker_id) == ("m", "w")
    durations = (spec.lease_ttl, spec.start_timeout, spec.timeout)
    assert [each.seconds for each in durations] == [30, 300, 5_400]
    assert "Run r1 was created." in result.stdout
    assert "Displaced runs:" in result.stdout
    assert "SUPERSEDED" in result.stdout


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("0.25s", 0.25),
        ("1.5H", 5_400),
        ("30d", 30 * 86_400),
        (" 1d2h3m4s ", 93_784),
        ("1h5", 3_605),
        ("36500d", 36_500 * 86_400),
        ("36500d1s", None),
        ("0h", None),
        ("٣s", None),
        ("", None),
        ("s", None),
        ("-5s", None),
        ("5m1h", None),
        ("1e3", None),
        ("nan", None),
        ("9" * 400 + "d", None),
        ("9" * 12 + "d", None),
    ],
)
def test_duration_has_units(cli: Cli, text: str, seconds: float | None) -> None:
    cli.script.will("CreateOrReject", pb.CreateOrRejectResponse(run=RUN))
    result = cli("create", "chat-1", "--run-timeout", text)
    if seconds is None:
        assert result.exit_code == 2
        assert "Invalid value for '--run-timeout'" in result.stderr
    else:
        assert cli.last_request.spec.timeout.ToTimedelta() == timedelta(seconds=seconds)


def test_create_leaves_omitted_options_unset(cli: Cli) -> None:
    cli.script.will("CreateOrReject", pb.CreateOrRejectResponse(run=RUN, replayed=True))
    result = cli("create", "chat-1")
    assert [each.name for each, _ in cli.last_request.spec.ListFields()] == ["thread_id"]
    assert "was already created by this request id" in result.stdout


def test_create_always_is_the_create_call(cli: Cli) -> None:
    cli.script.will("Create", pb.CreateResponse(run=RUN))
    result = cli("create", "chat-1", "--always", "--json")
    assert isinstance(cli.last_request, pb.CreateRequest)
    answer = json.loads(result.stdout)
    assert answer["run"]["run_id"] == "r1"
    assert (answer["run"]["revision"], answer["replayed"]) == ("7", False)


def test_unsupported_strategy_is_not_offered(cli: Cli) -> None:
    result = cli("create", "chat-1", "--strategy", "enqueue")
    assert "is not one of reject, interrupt, rollback." in result.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{", "not valid JSON"),
        ('{"a": NaN}', "not valid JSON"),
        ("[]", "not a JSON object"),
        ('{"a": "\\ud800"}', "cannot be sent"),
        ('{"a":' * 150 + "1" + "}" * 150, "cannot be sent"),
    ],
)
def test_invalid_json_object_is_a_usage_error(cli: Cli, given: str, message: str) -> None:
    result = cli("create", "chat-1", "--metadata", given)
    assert (result.exit_code, message in result.stderr) == (2, True)


def test_get_shows_every_field_without_escapes(cli: Cli) -> None:
    run = Run()
    run.CopyFrom(RUN)
    run.error = "\x1b[31m[bold]no[/bold]\nway\x9b"
    run.metadata.update({"k": "é", "n": [1, 0.5, 1e300], "o": {"yes": True}})
    run.timeout.seconds = 3
    cli.script.will("Get", pb.GetResponse(run=run))
    result = cli("get", "r1")
    assert result.exit_code == 0
    assert "[31m[bold]no[/bold] way" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\x9b" not in result.stdout
    for text in ("RUNNING", "progress.total_tokens", "1200", "3s", "1970-01-01T"):
        assert text in result.stdout
    shown = " ".join(result.stdout.split())
    assert '{"k": "é", "n": [1, 0.5, 1e+300], "o": {"yes": true}}' in shown


def test_list_shows_a_page_and_the_next_command(cli: Cli) -> None:
    cli.script.will("ListByThread", pb.ListByThreadResponse(runs=[RUN], next_page_token="n"))
    result = cli(
        *("list", "chat-1", "--status", "running", "--status", "Error"),
        *("--page-size", "1", "--page-token", "t"),
    )
    assert (
        list(cli.last_request.statuses),
        cli.last_request.page_size,
        cli.last_request.page_token,
    ) == ([2, 4], 1, "t")
    assert "1,200" in result.stdout
    assert "1970-01-01 00:01:01Z" in result.stdout
    assert "ASSISTANT" not in result.stdout
    command = "list chat-1 --status running --status Error --page-size 1 --page-token t"
    assert f"Next page: runsvc {command} --page-token n --target {cli.target}\n" in result.stdout


def test_list_all_pages_prints_a_line_per_page(cli: Cli) -> None:
    cli.script.will(
        "ListByThread",
        pb.ListByThreadResponse(runs=[RUN], next_page_token="n"),
        pb.ListByThreadResponse(),
    )
    result = cli("list", "chat-1", "--all-pages", "--json")
    assert [len(json.loads(line)["runs"]) for line in result.stdout.splitlines()] == [1, 0]
    assert cli.last_request.page_token == "n"


def test_list_without_runs(cli: Cli) -> None:
    cli.script.will("ListByThread", pb.ListByThreadResponse())
    assert cli("list", "chat-1").stdout == "No runs.\n"


def test_options_are_read_from_the_environment(cli: Cli) -> None:
    cli.script.will("ListByThread", pb.ListByThreadResponse())
    env = {"RUNSVC_LIST_STATUS": "running error", "RUNSVC_JSON": "1"}
    result = cli("list", "chat-1", env=env)
    assert list(cli.last_request.statuses) == [2, 4]
    assert json.loads(result.stdout)["runs"] == []


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


def test_status_may_be_converted_already() -> None:
    assert STATUS.convert(2, None, None) == 2


@pytest.mark.parametrize(
    ("outcome", "message"),
    [(1, "was cancelled."), (2, "was already cancelled"), (3, "already ended"), (9, "r1 9.")],
)
def test_cancel(cli: Cli, outcome: Any, message: str) -> None:
    cli.script.will("Cancel", pb.CancelResponse(run=RUN, outcome=outcome))
    result = cli("cancel", "r1", "--action", "rollback", "--note", "n")
    assert cli.last_request == pb.CancelRequest(
        run_id="r1", action="CANCEL_ACTION_ROLLBACK", note="n"
    )
    assert (result.exit_code, message in result.stdout) == (0, True)


def test_cancel_thread_cancels_the_newest_active_run(cli: Cli) -> None:
    cli.script.will("HasInflight", pb.HasInflightResponse(has_inflight=True, run_ids=["r9", "r8"]))
    cli.script.will("Cancel", pb.CancelResponse(run=RUN, outcome="CANCEL_OUTCOME_CANCELLED"))
    assert cli("cancel", "--thread", "chat-1").exit_code == 0
    assert cli.last_request.run_id == "r9"


def test_cancel_thread_without_an_active_run(cli: Cli) -> None:
    cli.script.will("HasInflight", pb.HasInflightResponse())
    result = cli("cancel", "--thread", "chat-1")
    assert result.exit_code == 3
    assert result.stderr == "Error: Thread chat-1 has no active run.\n"


@pytest.mark.parametrize("arguments", [(), ("r1", "--thread", "chat-1")])
def test_cancel_needs_exactly_one_target(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli("cancel", *arguments).exit_code == 2


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


@pytest.mark.parametrize("arguments", [(), (" ",), ("gpt", "--clear")])
def test_model_is_not_cleared_by_mistake(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli("model", "r1", *arguments)
    assert (result.exit_code, "Name one of NAME and --clear." in result.stderr) == (2, True)


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
        ("1970-01-01T00:01:00", 60),
        ("1970-01-01T00:01:00Z", 60),
        ("1970-01-01T01:01:00+01:00", 60),
        ("1970-01-02", 86_400),
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


@pytest.mark.parametrize("given", ["abc", "nan"])
def test_invalid_seconds_are_a_usage_error(cli: Cli, given: str) -> None:
    result = cli("get", "r1", "--timeout", given)
    assert result.exit_code == 2
    assert f"'{given}' is not a valid number of seconds." in result.stderr


def test_delete(cli: Cli) -> None:
    cli.script.will("Delete", admin.DeleteResponse(), admin.DeleteResponse())
    assert cli("admin", "delete", "r1").stdout == "Removed run r1.\n"
    assert cli("admin", "delete", "r1", "--json").stdout == "{}\n"


def test_info_shows_zeros_too(cli: Cli) -> None:
    cli.script.will("GetServerInfo", admin.GetServerInfoResponse(version="9.9"))
    lines = cli("admin", "info").stdout.splitlines()
    assert lines[0].split() == ["version", "9.9"]
    assert ["active_runs", "0"] in [line.split() for line in lines]


BUSY = Refusal(grpc.StatusCode.ABORTED, "Thread chat-1 is busy.", "THREAD_BUSY", {"run_id": "r1"})


def test_busy_thread_comes_with_hints(cli: Cli) -> None:
    cli.script.will("CreateOrReject", BUSY)
    result = cli("create", "chat-1")
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.splitlines() == [
        "Error: Thread chat-1 is busy.",
        f"Hint: Cancel it first: runsvc cancel r1 --target {cli.target}",
        f"Hint: Or displace it: runsvc create chat-1 --strategy interrupt --target {cli.target}",
    ]


def test_errors_are_json_with_json_option(cli: Cli) -> None:
    cli.script.will("CreateOrReject", BUSY)
    result = cli("create", "chat-1", "--json")
    error = json.loads(result.stderr)
    assert (result.exit_code, result.stdout) == (4, "")
    assert (error["code"], error["reason"], error["exit_code"]) == ("ABORTED", "THREAD_BUSY", 4)
    assert error["metadata"] == {"run_id": "r1"}


@pytest.mark.parametrize(
    ("violations", "lines"),
    [
        ([("thread_id", "is required")], ["The request is invalid: thread_id is required."]),
        (
            [("thread_id", "is required"), ("", "and 9 more")],
            ["The request is invalid:", "  thread_id is required", "  and 9 more"],
        ),
        (
            [("timeout", "is negative")],
            ["The request is invalid: thread_id is required.", "  timeout is negative"],
        ),
    ],
)
def test_every_violation_is_shown_once(
    cli: Cli, violations: list[tuple[str, str]], lines: list[str]
) -> None:
    message = "The request is invalid: thread_id is required."
    code = grpc.StatusCode.INVALID_ARGUMENT
    refusal = Refusal(code, message, "INVALID_REQUEST", violations=tuple(violations))
    cli.script.will("CreateOrReject", refusal)
    result = cli("create", "chat-1")
    assert result.exit_code == 2
    assert result.stderr.removeprefix("Error: ").splitlines() == lines


@pytest.mark.parametrize(
    ("target", "advice"),
    [
        ("127.0.0.1:1", " Start one with: runsvc serve --listen 127.0.0.1:1"),
        ("[::1]:1", " Start one with: runsvc serve --listen '[::1]:1'"),
        ("nowhere.invalid:1", ""),
    ],
)
def test_missing_server(cli: Cli, target: str, advice: str) -> None:
    result = cli("get", "r1", "--target", target)
    assert result.exit_code == 5
    assert result.stderr.splitlines() == [
        f"Error: No runsvc server answers at {target}.{advice}",
        "Hint: If the server has another address, set --target HOST:PORT or RUNSVC_TARGET",
    ]


@pytest.mark.parametrize(
    "target", ["localhost", "127.0.0.1", "http://127.0.0.1:1", "127.0.0.1:99999", "127.0.0.1:0"]
)
def test_invalid_address_comes_with_a_hint(cli: Cli, target: str) -> None:
    result = cli("get", "r1", "--target", target)
    assert result.exit_code == 5
    assert result.stderr.splitlines() == [
        f"Error: No runsvc server answers at {target}.",
        "Hint: Write the address as HOST:PORT, such as 127.0.0.1:50051",
    ]


def test_tls_to_a_server_without_tls(cli: Cli, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificates = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(certificates))
    result = cli("get", "r1", env={"RUNSVC_TLS_CA": str(certificates)})
    assert result.exit_code == 5
    assert result.stderr.splitlines() == [
        f"Error: No runsvc server answers at {cli.target}.",
        "Hint: If the server has another address, set --target HOST:PORT or RUNSVC_TARGET",
        "Hint: RUNSVC_TLS_CA enables TLS. Unset it if the server does not use TLS",
    ]


@pytest.mark.parametrize("arguments", [("create", "chat-1"), ("set-status", "r1", "running")])
def test_lease_needs_a_worker(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli(*arguments, "--lease-ttl", "30s")
    assert (result.exit_code, "--lease-ttl needs --worker." in result.stderr) == (2, True)


@pytest.mark.parametrize("command", ["complete", "set-status"])
def test_help_shows_status_as_required(cli: Cli, command: str) -> None:
    shown = cli(command, "--help").stdout
    assert "RUN_ID STATUS" in shown.splitlines()[0]
    assert "success, error, timeout or interrupted" in " ".join(shown.split())


def test_unreadable_certificates(cli: Cli) -> None:
    result = cli("get", "r1", env={"RUNSVC_TLS_CA": "/nowhere"})
    assert result.stderr == (
        "Error: Cannot read /nowhere, set by RUNSVC_TLS_CA: No such file or directory\n"
    )


def test_token_is_read_from_the_environment(cli: Cli) -> None:
    cli.script.will("Get", pb.GetResponse(run=RUN))
    cli("get", "r1", env={"RUNSVC_TOKEN": "secret"})
    assert cli.script.metadata[0]["authorization"] == "Bearer secret"


def test_invalid_timeout_is_a_usage_error_of_watch_too(cli: Cli) -> None:
    result = cli("watch", "r1", env={"RUNSVC_TIMEOUT": "soon"})
    assert (result.exit_code, "RUNSVC_TIMEOUT is 'soon'" in result.stderr) == (2, True)


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
