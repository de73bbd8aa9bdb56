"""Every call: its request, and its answer for people and programs."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

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


def test_an_unknown_strategy_is_refused(cli: Cli) -> None:
    result = cli("create", "chat-1", "--strategy", "wait")
    assert "is not one of reject, interrupt, rollback, enqueue." in result.stderr


def test_create_sends_the_options_of_waiting_runs(cli: Cli) -> None:
    cli.script.will("CreateOrReject", pb.CreateOrRejectResponse(run=RUN))
    options = "--strategy enqueue --handover after_stop --not-before 2026-11-24T09:30:00Z"
    options += " --concurrency-key k --queue-timeout 5m --priority 5 --max-attempts 3 --backoff 2s"
    cli("create", "chat-1", *options.split())
    assert isinstance(cli.last_request, pb.CreateOrRejectRequest)
    spec = cli.last_request.spec
    assert (spec.multitask_strategy, spec.handover, spec.priority) == (4, 2, 5)
    assert (spec.concurrency_key, spec.queue_timeout.seconds) == ("k", 300)
    assert spec.not_before.ToJsonString() == "2026-11-24T09:30:00Z"
    assert (spec.retry.max_attempts, spec.retry.backoff.seconds) == (3, 2)
    assert "--backoff needs --max-attempts" in cli("create", "t", "--backoff", "1s").stderr


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


@pytest.mark.parametrize(
    ("arguments", "number"), [((), "one"), (("r1", "--thread", "chat-1"), "only one")]
)
def test_cancel_needs_exactly_one_target(cli: Cli, arguments: tuple[str, ...], number: str) -> None:
    result = cli("cancel", *arguments)
    message = f"Name {number} of RUN_ID and --thread."
    assert (result.exit_code, message in result.stderr) == (2, True)


@pytest.mark.parametrize("arguments", [("create", "chat-1"), ("set-status", "r1", "running")])
def test_lease_needs_a_worker(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli(*arguments, "--lease-ttl", "30s")
    assert (result.exit_code, "--lease-ttl needs --worker." in result.stderr) == (2, True)
