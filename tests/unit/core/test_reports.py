"""Reports of the end: acknowledgement by status, stop reasons, usage by model, and metadata at any time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from runsvc.core.errors import InvalidRequest, InvalidTransition, NotHolder
from runsvc.core.lifecycle import (
    complete,
    disconnect,
    replace_metadata,
    report,
    report_progress,
    supersede,
)
from runsvc.core.model import CancelAction, ModelUsage, Progress, Run
from runsvc.core.progress import MODELS_LIMIT, merge_progress
from runsvc.core.stopping import acknowledge_cancel
from tests.unit.core.test_lifecycle import (
    AT,
    BORN,
    ERROR,
    INTERRUPTED,
    LATER,
    RUNNING,
    SUCCESS,
    Advance,
    a_run,
    cancelled,
    every_report,
    every_status,
)

ENDED_BY_THE_SERVER: dict[str, Run] = {
    "cancelled": cancelled(),
    "displaced": supersede(a_run(), CancelAction.INTERRUPT, BORN, by="n"),
    "abandoned": disconnect(a_run(), BORN),
}


@every_report
@pytest.mark.parametrize("run", ENDED_BY_THE_SERVER.values(), ids=ENDED_BY_THE_SERVER)
def test_interrupted_from_the_executor_acknowledges_a_cancel_once(
    run: Run, advance: Advance
) -> None:
    acknowledged = advance(run, to=INTERRUPTED, stop_reason="asked")
    assert run.cancellation is not None
    assert acknowledged == replace(
        run,
        revision=AT.revision,
        updated_at=AT.time,
        error="e",
        stop_reason="asked",
        cancellation=replace(run.cancellation, acknowledged_at=AT.time),
    )
    assert report(acknowledged, INTERRUPTED, LATER, worker_id=None) is acknowledged


@every_report
def test_an_end_that_the_executor_reported_needs_no_acknowledgement(advance: Advance) -> None:
    run = a_run(INTERRUPTED)
    assert advance(run, to=INTERRUPTED) is run


@every_report
def test_only_the_holder_acknowledges(advance: Advance) -> None:
    with pytest.raises(NotHolder):
        advance(cancelled(worker_id="w"), to=INTERRUPTED)


@every_report
def test_another_end_of_a_cancelled_run_is_refused(advance: Advance) -> None:
    with pytest.raises(InvalidTransition):
        advance(cancelled(), to=SUCCESS)


def test_a_completion_acknowledges_with_the_final_usage_as_one_change() -> None:
    usage = Progress(total_tokens=5)
    done = complete(cancelled(), INTERRUPTED, AT, worker_id=None, progress=usage)
    assert done.progress == replace(usage, final=True)
    assert done.revision == AT.revision
    assert done == acknowledge_cancel(cancelled(), AT, worker_id=None, progress=usage)


def test_usage_after_an_acknowledgement_is_another_change() -> None:
    acknowledged = acknowledge_cancel(cancelled(), AT, worker_id=None, stop_reason="asked")
    assert acknowledged.stop_reason == "asked"
    usage = Progress(total_tokens=5)
    again = acknowledge_cancel(
        acknowledged, LATER, worker_id=None, stop_reason="other", progress=usage
    )
    assert (again.revision, again.stop_reason) == (LATER.revision, "asked")
    assert acknowledge_cancel(again, LATER, worker_id=None, progress=usage) is again


@every_report
@every_status(SUCCESS, ERROR, INTERRUPTED)
def test_a_stop_reason_is_kept_from_the_report_that_ends_the_run(
    status: object, advance: Advance
) -> None:
    ended = advance(a_run(), to=status, stop_reason="token_capped")
    assert ended.stop_reason == "token_capped"
    assert advance(ended, to=status, stop_reason="other") is ended


def test_usage_is_merged_by_model_and_by_figure() -> None:
    first = Progress(by_model={"a": ModelUsage(calls=1, input_tokens=5), "b": ModelUsage(calls=2)})
    more = Progress(by_model={"a": ModelUsage(calls=0), "c": ModelUsage()})
    merged = merge_progress(merge_progress(None, first, final=False), more, final=False)
    assert merged.by_model == {
        "a": ModelUsage(calls=0, input_tokens=5),
        "b": ModelUsage(calls=2),
        "c": ModelUsage(),
    }
    assert merge_progress(merged, Progress(), final=True) == replace(merged, final=True)


def test_a_run_has_a_limited_number_of_models() -> None:
    names = [f"m{number}" for number in range(MODELS_LIMIT)]
    run = report_progress(
        a_run(), Progress(by_model=dict.fromkeys(names, ModelUsage())), AT, worker_id=None
    )
    known, new = (Progress(by_model={name: ModelUsage(calls=1)}) for name in ("m0", "new"))
    send = partial(report_progress, run, at=LATER, worker_id=None)
    assert send(known).progress is not None
    with pytest.raises(InvalidRequest, match="33 models; the limit is 32"):
        send(new)
    with pytest.raises(InvalidRequest):
        complete(run, SUCCESS, LATER, worker_id=None, progress=new)


@every_status()
def test_metadata_changes_in_every_status_without_a_revision(status: object) -> None:
    run = a_run(status, metadata=b"old")  # type: ignore[arg-type]
    assert replace_metadata(run, b"old", AT) is run
    assert replace_metadata(run, b"new", AT) == replace(run, metadata=b"new", updated_at=AT.time)


def test_usage_while_running_has_no_revision() -> None:
    run = report_progress(a_run(RUNNING), Progress(), AT, worker_id=None, final=True)
    assert run.revision == BORN.revision
