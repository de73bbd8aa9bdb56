"""Results, stop reasons, usage by model and metadata on the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.cli.live_table import LiveTable
from runsvc.cli.watch import line_of
from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_pb2 import Progress, Run, RunStatus, StatusEvent
from tests.unit.cli.conftest import lines_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Cli

RUN = Run(run_id="r1", thread_id="t", status="RUN_STATUS_SUCCESS", stop_reason="token_capped")


def as_dict(struct: Any) -> dict[str, Any]:
    return dict(struct.items())


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("complete", pb.CompleteResponse(run=RUN, changed=True)),
        ("set-status", pb.SetStatusResponse(run=RUN, changed=True)),
    ],
)
def test_a_result_and_a_stop_reason_are_sent(cli: Cli, command: str, answer: Any) -> None:
    cli.script.will("Complete" if command == "complete" else "SetStatus", answer)
    options = ("--result", '{"answer": 42}', "--stop-reason", "token_capped")
    shown = cli(command, "r1", "success", *options)
    assert shown.exit_code == 0
    assert as_dict(cli.last_request.result) == {"answer": 42}
    assert cli.last_request.stop_reason == "token_capped"
    assert "stop_reason" in shown.stdout


def test_a_result_may_be_a_file(cli: Cli, tmp_path: Path) -> None:
    cli.script.will("Complete", pb.CompleteResponse(run=RUN, changed=True))
    (tmp_path / "result.json").write_text('{"a": [1, null]}')
    cli("complete", "r1", "success", "--result", f"@{tmp_path / 'result.json'}")
    assert list(cli.last_request.result["a"]) == [1, None]


def test_an_acknowledgement_may_have_a_stop_reason(cli: Cli) -> None:
    cli.script.will("AcknowledgeCancel", pb.AcknowledgeCancelResponse(run=RUN, changed=True))
    cli("acknowledge", "r1", "--stop-reason", "asked")
    assert cli.last_request.stop_reason == "asked"


def test_usage_by_model_is_sent_and_shown(cli: Cli) -> None:
    usage = {"b": {"calls": 2}, "a": {"input_tokens": 5, "reasoning_tokens": 0}}
    run = Run(run_id="r1", progress={"by_model": usage})
    cli.script.will("UpdateProgress", pb.UpdateProgressResponse(run=run, applied=True))
    shown = cli("progress", "r1", "--by-model", json.dumps(usage), "--total-tokens", "5")
    assert cli.last_request.progress == Progress(by_model=usage, total_tokens=5)  # type: ignore[arg-type]
    lines = [line.split() for line in shown.stdout.splitlines()]
    figures = [line for line in lines if line and line[0].startswith("progress.by_model")]
    assert figures == [
        ["progress.by_model.a.input_tokens", "5"],
        ["progress.by_model.a.reasoning_tokens", "0"],
        ["progress.by_model.b.calls", "2"],
    ]


@pytest.mark.parametrize(
    "usage", ['{"a": 1}', '{"a": {"tokens": 1}}', '{"a": {"calls": 1.5}}', "[]", "{"]
)
def test_invalid_usage_by_model_is_a_usage_error(cli: Cli, usage: str) -> None:
    shown = cli("progress", "r1", "--by-model", usage)
    assert (shown.exit_code, "--by-model" in shown.stderr) == (2, True)


@pytest.mark.parametrize(("changed", "message"), [(True, "has changed"), (False, "already had")])
def test_metadata(cli: Cli, changed: bool, message: str) -> None:
    answer = pb.UpdateMetadataResponse(run=RUN, changed=changed)
    cli.script.will("UpdateMetadata", answer)
    sets = ("--set", "priority=2", "--set", 'title="a=b"', "--set", 'x={"y": [null]}')
    shown = cli("metadata", "r1", *sets, "--remove", "old")
    request = cli.last_request
    assert (request.run_id, list(request.remove)) == ("r1", ["old"])
    assert (request.set["priority"], request.set["title"]) == (2, "a=b")
    assert list(request.set["x"]["y"]) == [None]
    assert f"The metadata of run r1 {message}" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Nothing to change"),
        (("--set", "title"), "is not KEY=JSON"),
        (("--set", "title=My chat"), """'title="text"'"""),
        (("--set", "n=9007199254740993"), "would lose digits"),
    ],
)
def test_an_invalid_change_of_metadata_is_a_usage_error(
    cli: Cli, arguments: tuple[str, ...], message: str
) -> None:
    shown = cli("metadata", "r1", *arguments)
    assert shown.exit_code == 2
    assert message in " ".join(shown.stderr.split())


def test_a_watch_shows_usage_that_arrives_after_the_end() -> None:
    run = Run(run_id="r1", thread_id="t", status="RUN_STATUS_SUCCESS", stop_reason="token_capped")
    run.progress.by_model["gpt"].calls = 2
    changed, ended = StatusEvent.STATUS_EVENT_CHANGED, RunStatus.RUN_STATUS_SUCCESS
    late = pb.StreamStatusResponse(event=changed, revision=3, run=run, previous_status=ended)
    assert line_of(late).endswith("stop_reason=token_capped by_model.gpt.calls=2")
    running = RunStatus.RUN_STATUS_RUNNING
    end = pb.StreamStatusResponse(event=changed, revision=2, run=run, previous_status=running)
    assert line_of(end).endswith("stop_reason=token_capped")


def test_new_metadata_of_an_ended_run_keeps_its_row() -> None:
    table = LiveTable("runs", ())
    for run_id in ("r1", "r2"):
        run = Run(run_id=run_id, thread_id="t", status="RUN_STATUS_SUCCESS")
        table.add(pb.StreamStatusResponse(event=StatusEvent.STATUS_EVENT_CHANGED, run=run))
    before = lines_of(table)
    run = Run(run_id="r1", thread_id="t", status="RUN_STATUS_SUCCESS")
    table.add(pb.StreamStatusResponse(event=StatusEvent.STATUS_EVENT_PROGRESS, run=run))
    assert lines_of(table) == before
