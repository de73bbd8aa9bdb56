"""The rules of a run's life, checked for every pair of statuses and over random lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runsvc.core import lifecycle
from runsvc.core.errors import InvalidTransition, NotCancelled, NotHolder, RunActive, RunEnded
from runsvc.core.lifecycle import (
    TRANSITIONS,
    cancel,
    check_deletable,
    complete,
    orphan,
    rename_model,
    report,
    report_progress,
    supersede,
)
from runsvc.core.model import (
    ACTIVE,
    LIVE,
    CancelAction,
    Cancellation,
    CancelOutcome,
    DisconnectMode,
    MultitaskStrategy,
    Progress,
    Run,
    RunSpec,
    RunStatus,
    Stamp,
    StatusReason,
)
from runsvc.core.progress import PREVIEW_LIMIT, merge_progress
from runsvc.core.stopping import acknowledge_cancel, awaits_acknowledgement

PENDING, RUNNING, SUCCESS, ERROR, TIMEOUT, INTERRUPTED, QUEUED = RunStatus
ENDINGS = {SUCCESS, ERROR, TIMEOUT, INTERRUPTED}

#: The status machine, repeated on purpose: a change of the rules must be made in both places.
ALLOWED = {(PENDING, RUNNING), *product((PENDING, RUNNING), ENDINGS)}
PAIRS = list(product(RunStatus, repeat=2))
IMPOSSIBLE = [pair for pair in PAIRS if pair not in ALLOWED]

BORN = Stamp(1, datetime(2026, 1, 1, tzinfo=UTC))
AT = Stamp(7, BORN.time + timedelta(microseconds=7))
LATER = Stamp(8, BORN.time + timedelta(microseconds=8))

Advance = Callable[..., Run]


def a_run(status: RunStatus = RUNNING, **facts: Any) -> Run:
    """A run without a holder; unless it is PENDING, it has been RUNNING."""
    run = lifecycle.create(RunSpec(thread_id="t"), run_id="r", owner="o", at=BORN)
    times = {
        "started_at": None if status is PENDING else BORN.time,
        "ended_at": BORN.time if status in ENDINGS else None,
    }
    return replace(run, status=status, **times | facts)


def cancelled(status: RunStatus = RUNNING, **facts: Any) -> Run:
    return cancel(a_run(status, **facts), CancelAction.ROLLBACK, BORN, note="why")[0]


def every_status(*statuses: RunStatus) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("status", statuses or RunStatus, ids=lambda status: status.name)


REPORTS: dict[str, Advance] = {
    "report": partial(report, at=AT, worker_id=None, error="e"),
    "complete": partial(complete, at=AT, worker_id=None, error="e"),
}
DECISIONS: dict[str, tuple[RunStatus, Advance]] = {
    "supersede": (INTERRUPTED, partial(supersede, action=CancelAction.INTERRUPT, at=AT, by="n")),
    "orphan": (ERROR, partial(orphan, at=AT, error="lost")),
}
FROM_A_WORKER: dict[str, Advance] = {
    "report": partial(report, to=SUCCESS, at=AT),
    "complete": partial(complete, to=SUCCESS, at=AT),
    "report_progress": partial(report_progress, progress=Progress(), at=AT),
    "acknowledge_cancel": partial(acknowledge_cancel, at=AT),
}
#: Every call that reports progress, and a run that accepts it.
PROGRESS_PATHS: dict[str, tuple[Run, Advance]] = {
    "while running": (a_run(), partial(report_progress, at=AT, worker_id=None)),
    "final, running": (a_run(), partial(report_progress, at=AT, worker_id=None, final=True)),
    "final, ended": (a_run(ERROR), partial(report_progress, at=AT, worker_id=None, final=True)),
    "at the end": (a_run(), partial(complete, to=SUCCESS, at=AT, worker_id=None)),
    "after the end": (a_run(SUCCESS), partial(complete, to=SUCCESS, at=AT, worker_id=None)),
    "with an acknowledgement": (cancelled(), partial(acknowledge_cancel, at=AT, worker_id=None)),
}
every_report = pytest.mark.parametrize("advance", REPORTS.values(), ids=REPORTS)
every_sender = pytest.mark.parametrize("send", FROM_A_WORKER.values(), ids=FROM_A_WORKER)
every_path = pytest.mark.parametrize(("run", "send"), PROGRESS_PATHS.values(), ids=PROGRESS_PATHS)


def test_a_spec_becomes_a_pending_run() -> None:
    spec = RunSpec(
        thread_id="t",
        assistant_id="a",
        on_disconnect=DisconnectMode.CONTINUE,
        multitask_strategy=MultitaskStrategy.ROLLBACK,
        model_name="m",
        worker_id="w",
        metadata=b"{}",
        kwargs=b"secret",
    )
    assert lifecycle.create(spec, run_id="r", owner="o", at=BORN) == Run(
        run_id="r",
        owner="o",
        thread_id="t",
        status=PENDING,
        revision=1,
        created_at=BORN.time,
        updated_at=BORN.time,
        on_disconnect=DisconnectMode.CONTINUE,
        multitask_strategy=MultitaskStrategy.ROLLBACK,
        assistant_id="a",
        model_name="m",
        worker_id="w",
        metadata=b"{}",
        pending_at=BORN.time,
    )


def test_the_transitions_are_the_status_machine() -> None:
    assert {(old, new) for old, to in TRANSITIONS.items() for new in to} == ALLOWED
    assert set(TRANSITIONS) == set(RunStatus)


@every_report
@pytest.mark.parametrize(("old", "new"), sorted(ALLOWED))
def test_an_allowed_transition_is_applied(advance: Advance, old: RunStatus, new: RunStatus) -> None:
    run = a_run(old)
    starts = new is RUNNING
    assert advance(run, new) == replace(
        run,
        status=new,
        error=None if starts else "e",
        attempt=int(starts),
        fencing_token=AT.revision if starts else 0,
        revision=AT.revision,
        updated_at=AT.time,
        started_at=AT.time if starts else run.started_at,
        ended_at=AT.time if new in ENDINGS else None,
    )


@every_report
@pytest.mark.parametrize(("old", "new"), IMPOSSIBLE)
def test_a_repeated_status_has_no_effect_and_any_other_transition_is_refused(
    advance: Advance, old: RunStatus, new: RunStatus
) -> None:
    run = a_run(old)
    if old is new:
        assert advance(run, new) is run
        return
    with pytest.raises(InvalidTransition) as refused:
        advance(run, new)
    assert vars(refused.value) == {"run_id": "r", "from_status": old, "to_status": new}


@pytest.mark.parametrize(("new", "decide"), DECISIONS.values(), ids=DECISIONS)
@every_status()
def test_the_server_ends_only_active_runs_and_displaces_queued_ones(
    new: RunStatus, decide: Advance, status: RunStatus
) -> None:
    run = a_run(status)
    if status not in ACTIVE and (status, new) != (QUEUED, INTERRUPTED):
        with pytest.raises(InvalidTransition):
            decide(run)
        return
    ended = decide(run)
    assert (ended.status, ended.revision) == (new, AT.revision)
    assert (ended.updated_at, ended.ended_at) == (AT.time, AT.time)
    assert ended.started_at == run.started_at


def test_a_displaced_run_records_its_successor_and_the_action() -> None:
    run = supersede(a_run(), CancelAction.ROLLBACK, AT, by="newer")
    assert run.status_reason is StatusReason.SUPERSEDED
    assert run.superseded_by == "newer"
    assert run.cancellation == Cancellation(CancelAction.ROLLBACK, None, AT.time)


def test_an_orphan_records_the_reason_and_the_error() -> None:
    run = orphan(a_run(), AT, error="lost")
    assert (run.status_reason, run.error) == (StatusReason.ORPHANED, "lost")
    assert run.cancellation is None


def test_a_repeated_report_keeps_the_first_error() -> None:
    run = a_run(ERROR, error="first")
    assert report(run, ERROR, AT, worker_id=None, error="second") is run


@every_sender
@pytest.mark.parametrize("worker", ["other", "W", "", None])
@every_status()
def test_a_held_run_accepts_reports_of_its_holder_only(
    send: Advance, worker: str | None, status: RunStatus
) -> None:
    """The holder is checked first, whatever else is wrong with the report."""
    with pytest.raises(NotHolder) as refused:
        send(a_run(status, worker_id="w"), worker_id=worker)
    assert refused.value.run_id == "r"


@every_sender
@pytest.mark.parametrize(
    ("holder", "worker"),
    [("w", "w"), (None, "w"), (None, None)],
    ids=lambda worker: worker or "none",
)
def test_a_report_is_accepted_from_the_holder_or_from_anyone_if_there_is_none(
    send: Advance, holder: str | None, worker: str | None
) -> None:
    acknowledges = send is FROM_A_WORKER["acknowledge_cancel"]
    run = cancelled(worker_id=holder) if acknowledges else a_run(worker_id=holder)
    assert send(run, worker_id=worker) is not run


def test_a_second_worker_cannot_start_a_run() -> None:
    started = report(a_run(PENDING), RUNNING, AT, worker_id="first")
    assert started.worker_id == "first"
    with pytest.raises(NotHolder):
        report(started, RUNNING, LATER, worker_id="second")


def test_a_start_without_a_worker_sets_no_holder() -> None:
    assert report(a_run(PENDING), RUNNING, AT, worker_id=None).worker_id is None
    assert report(a_run(RUNNING), RUNNING, AT, worker_id="late").worker_id is None


@every_status(PENDING, RUNNING)
def test_an_end_sets_no_holder(status: RunStatus) -> None:
    assert report(a_run(status), SUCCESS, AT, worker_id="w").worker_id is None


def test_the_server_and_callers_act_without_holding_the_run() -> None:
    held = a_run(worker_id="w")
    assert cancel(held, CancelAction.INTERRUPT, AT)[0].worker_id == "w"
    assert orphan(held, AT, error="lost").worker_id == "w"
    assert supersede(held, CancelAction.INTERRUPT, AT, by="n").worker_id == "w"
    assert rename_model(held, "m", AT).worker_id == "w"


counts = st.none() | st.integers(0, 2**63 - 1)
previews = st.none() | st.text(max_size=5)
progresses = st.builds(
    Progress,
    total_tokens=counts,
    message_count=counts,
    last_ai_message=previews,
    first_human_message=previews,
)


@settings(deadline=None)
@given(known=st.none() | progresses, report=progresses, final=st.booleans())
def test_reported_fields_replace_known_ones_and_others_stay(
    known: Progress | None, report: Progress, final: bool
) -> None:
    merged = merge_progress(known, report, final=final)
    for name in {field.name for field in fields(Progress)} - {"final"}:
        old, reported = getattr(known, name, None), getattr(report, name)
        assert getattr(merged, name) == (old if reported is None else reported)
    assert merged.final is final


@pytest.mark.parametrize(
    ("known", "report"),
    [
        (Progress(total_tokens=5), Progress(total_tokens=0)),
        (Progress(message_count=5), Progress(message_count=0)),
        (Progress(last_ai_message="text"), Progress(last_ai_message="")),
    ],
)
def test_zero_and_empty_are_values(known: Progress, report: Progress) -> None:
    assert merge_progress(known, report, final=False) == report


def test_the_final_flag_of_a_report_is_ignored() -> None:
    assert not merge_progress(None, Progress(final=True), final=False).final


@every_path
def test_long_previews_are_cut(run: Run, send: Advance) -> None:
    fits, long = "é" * PREVIEW_LIMIT, "🙂" * (PREVIEW_LIMIT + 1)
    progress = send(run, progress=Progress(last_ai_message=long, first_human_message=fits)).progress
    assert progress is not None
    assert progress.last_ai_message == long[:2_000]
    assert progress.first_human_message == fits


@every_path
def test_progress_is_merged_with_known_progress(run: Run, send: Advance) -> None:
    known = replace(run, progress=Progress(llm_call_count=3, total_tokens=9))
    after = send(known, progress=Progress(total_tokens=0)).progress
    assert after is not None
    assert (after.llm_call_count, after.total_tokens) == (3, 0)


@pytest.mark.parametrize("path", [path for path in PROGRESS_PATHS if path != "while running"])
def test_final_progress_is_accepted_once(path: str) -> None:
    run, send = PROGRESS_PATHS[path]
    after = send(run, progress=Progress(total_tokens=1))
    assert after.progress == Progress(total_tokens=1, final=True)
    for again in (send, PROGRESS_PATHS["final, ended"][1]):
        assert again(after, progress=Progress(total_tokens=2)).progress == after.progress
    known = replace(run, progress=after.progress)
    assert send(known, progress=Progress(total_tokens=2)).progress == after.progress


@every_status()
@pytest.mark.parametrize("final", [False, True])
def test_progress_is_accepted_while_running_and_as_final_after_any_end(
    status: RunStatus, final: bool
) -> None:
    run = a_run(status)
    after = report_progress(
        run, Progress(total_tokens=1), AT, worker_id=None, sequence=4, final=final
    )
    if status is not RUNNING and not (final and status in ENDINGS):
        assert after is run
        return
    assert after == replace(
        run,
        # Usage that arrives after the end is a change.
        revision=AT.revision if status in ENDINGS else run.revision,
        progress=Progress(total_tokens=1, final=final),
        progress_sequence=4,
        updated_at=AT.time,
    )


@pytest.mark.parametrize(
    ("last", "sequence", "applied", "kept"),
    [
        (0, 1, True, 1),
        (4, 5, True, 5),
        (4, 4, False, 4),
        (4, 3, False, 4),
        (4, 0, False, 4),
        (4, None, True, 4),
        (4, 2**63 - 1, True, 2**63 - 1),
    ],
)
@pytest.mark.parametrize("final", [False, True])
def test_only_a_report_with_a_higher_sequence_is_applied(
    last: int, sequence: int | None, applied: bool, kept: int, final: bool
) -> None:
    run = a_run(progress_sequence=last)
    after = report_progress(run, Progress(), AT, worker_id=None, sequence=sequence, final=final)
    assert (after is not run) == applied
    assert after.progress_sequence == kept


def test_a_sequence_may_start_at_zero() -> None:
    run = a_run()
    assert report_progress(run, Progress(), AT, worker_id=None, sequence=0) is not run


@pytest.mark.parametrize("progress", [None, Progress(total_tokens=1)])
def test_a_repeated_end_adds_missing_usage(progress: Progress | None) -> None:
    run = a_run(TIMEOUT, status_reason=StatusReason.TIMEOUT_EXCEEDED)
    after = complete(run, TIMEOUT, AT, worker_id=None, progress=progress)
    if progress is None:
        assert after is run
        return
    final = replace(progress, final=True)
    assert after == replace(run, revision=AT.revision, progress=final, updated_at=AT.time)


def test_a_different_end_is_refused_with_its_usage() -> None:
    with pytest.raises(InvalidTransition):
        complete(a_run(TIMEOUT), SUCCESS, AT, worker_id=None, progress=Progress())


def test_final_usage_may_follow_an_end_without_usage() -> None:
    ended = complete(a_run(progress=Progress(total_tokens=1)), SUCCESS, AT, worker_id=None)
    assert ended.progress == Progress(total_tokens=1)


@pytest.mark.parametrize("action", CancelAction)
@pytest.mark.parametrize("note", ["why", None])
@every_status(PENDING, RUNNING)
def test_a_cancel_interrupts_an_active_run(
    status: RunStatus, action: CancelAction, note: str | None
) -> None:
    run = a_run(status)
    after, outcome = cancel(run, action, AT, note=note)
    assert outcome is CancelOutcome.CANCELLED
    assert after == replace(
        run,
        status=INTERRUPTED,
        status_reason=StatusReason.CANCEL_REQUESTED,
        revision=AT.revision,
        updated_at=AT.time,
        ended_at=AT.time,
        cancellation=Cancellation(action, note, AT.time),
    )


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (cancelled(), CancelOutcome.ALREADY_CANCELLED),
        (
            supersede(a_run(), CancelAction.ROLLBACK, BORN, by="n"),
            CancelOutcome.ALREADY_CANCELLED,
        ),
        (a_run(INTERRUPTED), CancelOutcome.ALREADY_CANCELLED),
        *((a_run(status), CancelOutcome.ALREADY_FINISHED) for status in (SUCCESS, ERROR, TIMEOUT)),
    ],
)
def test_a_cancel_does_not_change_an_ended_run(run: Run, expected: CancelOutcome) -> None:
    assert cancel(run, CancelAction.INTERRUPT, AT, note="late") == (run, expected)


def test_an_acknowledgement_is_a_change_with_a_revision() -> None:
    run = cancelled()
    assert run.cancellation is not None
    acknowledged = acknowledge_cancel(run, AT, worker_id=None)
    assert acknowledged == replace(
        run,
        revision=AT.revision,
        updated_at=AT.time,
        cancellation=replace(run.cancellation, acknowledged_at=AT.time),
    )
    assert acknowledge_cancel(acknowledged, LATER, worker_id=None) is acknowledged


def test_an_acknowledgement_does_not_change_final_progress() -> None:
    run = cancelled(progress=Progress(total_tokens=1, final=True))
    acknowledged = acknowledge_cancel(run, AT, worker_id=None, progress=Progress(total_tokens=2))
    assert acknowledged.revision == AT.revision
    assert acknowledged.progress == run.progress


@every_status()
def test_a_run_that_was_not_cancelled_cannot_be_acknowledged(status: RunStatus) -> None:
    """This includes a run whose executor reported INTERRUPTED."""
    with pytest.raises(NotCancelled) as refused:
        acknowledge_cancel(a_run(status), AT, worker_id=None, progress=Progress())
    assert (refused.value.from_status, refused.value.to_status) == (status, INTERRUPTED)


@pytest.mark.parametrize(
    ("run", "awaits"),
    [
        *((a_run(status), False) for status in RunStatus),
        (cancelled(PENDING), False),
        (cancelled(RUNNING), True),
        (supersede(a_run(PENDING), CancelAction.ROLLBACK, BORN, by="n"), False),
        (supersede(a_run(RUNNING), CancelAction.ROLLBACK, BORN, by="n"), True),
        (acknowledge_cancel(cancelled(RUNNING), AT, worker_id=None), False),
    ],
)
def test_an_acknowledgement_is_awaited_only_from_an_executor_that_started(
    run: Run, awaits: bool
) -> None:
    assert awaits_acknowledgement(run) == awaits


@every_status()
@pytest.mark.parametrize("name", ["new", None])
def test_the_model_name_can_change_until_the_end(status: RunStatus, name: str | None) -> None:
    run = a_run(status, model_name="old")
    if status in LIVE:
        assert rename_model(run, name, AT) == replace(run, model_name=name, updated_at=AT.time)
        return
    with pytest.raises(RunEnded):
        rename_model(run, name, AT)


@pytest.mark.parametrize("name", ["old", None])
def test_setting_the_same_model_name_changes_nothing(name: str | None) -> None:
    run = a_run(model_name=name)
    assert rename_model(run, name, AT) is run


@every_status()
def test_only_an_ended_run_can_be_deleted(status: RunStatus) -> None:
    if status in ENDINGS:
        check_deletable("r", status)
        return
    with pytest.raises(RunActive) as refused:
        check_deletable("r", status)
    assert (refused.value.run_id, refused.value.from_status) == ("r", status)


def calls_of(
    rule: Callable[..., Run], **facts: st.SearchStrategy[Any]
) -> st.SearchStrategy[Advance]:
    return st.fixed_dictionaries(facts).map(lambda chosen: partial(rule, **chosen))


def cancel_alone(run: Run, action: CancelAction, at: Stamp) -> Run:
    return cancel(run, action, at)[0]


workers = st.sampled_from([None, "w", "v"])
actions = st.sampled_from(CancelAction)
sequences = st.none() | st.integers(0, 5)

#: Any call on a run, valid or not.
calls: st.SearchStrategy[Advance] = st.one_of(
    calls_of(
        report,
        to=st.sampled_from(RunStatus),
        worker_id=workers,
        error=previews,
        stop_reason=previews,
    ),
    calls_of(
        complete,
        to=st.sampled_from(sorted(ENDINGS)),
        worker_id=workers,
        progress=st.none() | progresses,
    ),
    calls_of(
        report_progress,
        progress=progresses,
        worker_id=workers,
        sequence=sequences,
        final=st.booleans(),
    ),
    calls_of(
        acknowledge_cancel,
        worker_id=workers,
        progress=st.none() | progresses,
        stop_reason=previews,
    ),
    calls_of(cancel_alone, action=actions),
    calls_of(supersede, action=actions, by=st.just("n")),
    calls_of(rename_model, model_name=previews),
    calls_of(orphan, error=st.just("lost")),
)


@settings(deadline=None)
@given(st.sampled_from([None, "w"]), st.lists(calls, max_size=12))
def test_no_sequence_of_calls_breaks_a_rule(holder: str | None, life: list[Advance]) -> None:
    run = a_run(PENDING, worker_id=holder)
    for number, advance in enumerate(life, start=2):
        at = Stamp(number, BORN.time + timedelta(seconds=number))
        try:
            after = advance(run, at=at)
        except (InvalidTransition, NotHolder):
            continue
        assert_step(run, after, at)
        run = after


def assert_step(before: Run, after: Run, at: Stamp) -> None:
    """Check the rules that relate a run to the same run after a change."""
    moved = before.status is not after.status
    assert not moved or (before.status, after.status) in ALLOWED
    assert (after.ended_at is not None) == (after.status in ENDINGS)
    marked = moved or acknowledged_at(before) != acknowledged_at(after)
    marked |= before.status in ENDINGS and before.progress != after.progress
    assert after.revision == (at.revision if marked else before.revision)
    assert after.updated_at == (before.updated_at if after is before else at.time)
    assert after is before or after != before
    started = moved and after.status is RUNNING
    assert after.started_at == (at.time if started else before.started_at)
    if before.status in ENDINGS:
        assert settled(after) == settled(before)
    if before.worker_id is not None:
        assert after.worker_id == before.worker_id
    if before.progress is not None and before.progress.final:
        assert after.progress == before.progress
    assert (after.progress_sequence or 0) >= (before.progress_sequence or 0)


def settled(run: Run) -> Run:
    """The part of an ended run that never changes: all but its progress and the acknowledgement."""
    if run.cancellation is not None:
        run = replace(run, error=None, stop_reason=None)
    return replace(
        run,
        revision=0,
        updated_at=BORN.time,
        progress=None,
        progress_sequence=None,
        cancellation=run.cancellation and replace(run.cancellation, acknowledged_at=None),
    )


def acknowledged_at(run: Run) -> datetime | None:
    return run.cancellation.acknowledged_at if run.cancellation else None
