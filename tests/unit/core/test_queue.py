"""The gates of queued runs, as tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runsvc.core import lifecycle, queue
from runsvc.core.model import (
    Handover,
    Lease,
    MultitaskStrategy,
    QueueGate,
    Run,
    RunSpec,
    RunStatus,
    Stamp,
)
from runsvc.core.queue import NO_GATES, Gated, Limit, Queue, ThreadState

PENDING, QUEUED = RunStatus.PENDING, RunStatus.QUEUED
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TIME, THREAD, HANDOVER, CONCURRENCY = (
    QueueGate.TIME,
    QueueGate.THREAD,
    QueueGate.HANDOVER,
    QueueGate.CONCURRENCY,
)
IN_ORDER = NO_GATES._replace(in_thread_order=True)
AFTER_STOP = NO_GATES._replace(after_stop=True)
BOTH = NO_GATES._replace(in_thread_order=True, after_stop=True)
IDLE = ThreadState(active=0, first_queued=None, is_stopping=False)


def a_run(status: RunStatus = QUEUED, *, turn: int | None = None, **spec: Any) -> Run:
    return lifecycle.create(
        RunSpec(thread_id="t", **spec),
        run_id="r",
        owner="o",
        at=Stamp(1, NOW),
        status=status,
        turn=turn,
    )


@pytest.mark.parametrize(
    ("spec", "facts"),
    [
        ({}, None),
        ({"multitask_strategy": MultitaskStrategy.INTERRUPT}, None),
        ({"priority": 5, "queue_timeout": SECOND}, None),
        ({"multitask_strategy": MultitaskStrategy.ENQUEUE}, IN_ORDER),
        ({"handover": Handover.AFTER_STOP}, AFTER_STOP),
        ({"not_before": NOW}, NO_GATES._replace(not_before=NOW)),
        ({"concurrency_key": "k"}, NO_GATES._replace(concurrency_key="k")),
    ],
)
def test_the_gates_of_a_run_are_those_of_its_spec(
    spec: dict[str, Any], facts: Gated | None
) -> None:
    assert queue.gated(RunSpec(thread_id="t", **spec)) == facts
    assert queue.gated(a_run(**spec)) == facts


@pytest.mark.parametrize(
    ("status", "turn", "worker_id", "waits"),
    [
        (QUEUED, None, None, True),
        (QUEUED, None, "w", True),
        (PENDING, None, None, True),
        (PENDING, 3, None, False),
        (PENDING, None, "w", False),
        (RunStatus.RUNNING, None, "w", False),
        (RunStatus.ERROR, None, None, False),
    ],
)
def test_a_run_waits_for_its_time_until_it_is_claimable(
    status: RunStatus, turn: int | None, worker_id: str | None, waits: bool
) -> None:
    run = replace(a_run(not_before=NOW), status=status, turn=turn, worker_id=worker_id)
    assert queue.wakes_at(run) == (NOW if waits else None)
    assert queue.wakes_at(replace(run, not_before=None)) is None


@pytest.mark.parametrize(
    ("not_before", "is_open"),
    [(None, True), (NOW - SECOND, True), (NOW, True), (NOW + SECOND, False)],
)
def test_the_gate_of_time_opens_at_not_before(not_before: datetime | None, is_open: bool) -> None:
    assert queue.is_time_open(NO_GATES._replace(not_before=not_before), NOW) is is_open


@pytest.mark.parametrize(
    ("key", "prefixes", "width"),
    [
        (None, {"": 1}, None),
        ("mail:a", {}, None),
        ("mail:a", {"": 1}, 1),
        ("mail:a", {"": 1, "mail:": 2}, 2),
        ("mail:a", {"mail:": 2, "mail:a": 0, "": 1}, 0),
        ("mail:a", {"mail:b": 3}, None),
        ("mail", {"mail:": 3}, None),
    ],
)
def test_the_longest_prefix_counts(
    key: str | None, prefixes: dict[str, int], width: int | None
) -> None:
    limits = [Limit(prefix, each) for prefix, each in prefixes.items()]
    assert queue.width_of(key, limits) == width
    assert queue.width_of(key, reversed(limits)) == width


@pytest.mark.parametrize(
    ("active", "width", "has_room"),
    [(0, None, True), (9, None, True), (0, 0, False), (0, 1, True), (1, 1, False), (3, 2, False)],
)
def test_a_key_has_room_below_its_width(active: int, width: int | None, has_room: bool) -> None:
    assert queue.has_room(active, width) is has_room


@pytest.mark.parametrize(
    ("facts", "run_id", "thread", "gate"),
    [
        (NO_GATES, "r", ThreadState(3, "s", True), None),
        (IN_ORDER, "r", IDLE, None),
        (IN_ORDER, "r", IDLE._replace(first_queued="r"), None),
        (IN_ORDER, "r", IDLE._replace(first_queued="s"), THREAD),
        (IN_ORDER, "r", IDLE._replace(active=1, first_queued="r"), THREAD),
        (IN_ORDER, "r", IDLE._replace(is_stopping=True), None),
        # A run that is being created comes after every queued one.
        (IN_ORDER, None, IDLE, None),
        (IN_ORDER, None, IDLE._replace(first_queued="s"), THREAD),
        (AFTER_STOP, "r", IDLE._replace(active=1, first_queued="s"), None),
        (AFTER_STOP, "r", IDLE._replace(is_stopping=True), HANDOVER),
        (BOTH, "r", ThreadState(1, "r", True), THREAD),
        (BOTH, "r", ThreadState(0, "r", True), HANDOVER),
        (BOTH, "r", ThreadState(0, "r", False), None),
    ],
)
def test_the_first_closed_gate_of_a_thread(
    facts: Gated, run_id: str | None, thread: ThreadState, gate: QueueGate | None
) -> None:
    assert queue.thread_gate(facts, run_id, thread) is gate


def test_a_promoted_run_is_pending_and_its_lease_begins() -> None:
    later = Stamp(7, NOW + 60 * SECOND)
    run = a_run(worker_id="w", lease_ttl=5 * SECOND)
    assert run.pending_at is None
    assert queue.promote(run, later) == replace(
        run,
        status=PENDING,
        revision=7,
        updated_at=later.time,
        pending_at=later.time,
        lease=Lease(5 * SECOND, later.time + 5 * SECOND),
    )
    assert queue.promote(a_run(), later).lease is None


@pytest.mark.parametrize(
    ("last", "head", "turn"),
    [(None, 0, 0), (None, 7, 7), (0, 0, 1), (3, 1, 4), (3, 4, 4), (3, 9, 9)],
)
def test_a_turn_follows_the_owners_last_one_but_not_before_the_head(
    last: int | None, head: int, turn: int
) -> None:
    assert queue.next_turn(last, head) == turn


def test_owners_alternate_however_many_runs_they_have() -> None:
    last: dict[str, int] = {}
    turns = []
    for owner in ("many", "many", "many", "few", "few", "late"):
        last[owner] = queue.next_turn(last.get(owner), 0)
        turns.append((last[owner], owner))
    in_order = [owner for _, owner in sorted(turns, key=lambda each: each[0])]
    assert in_order == ["many", "few", "late", "many", "few", "many"]


@pytest.mark.parametrize(
    ("facts", "active", "queued", "stopping", "ahead", "answer"),
    [
        (BOTH._replace(not_before=NOW + SECOND), ["a"], ["r"], ["s"], 4, Queue(TIME, 0, None)),
        (IN_ORDER, ["b", "a"], ["r"], [], 0, Queue(THREAD, 1, "b")),
        (IN_ORDER, ["a"], ["p", "q", "r"], [], 0, Queue(THREAD, 3, "q")),
        (IN_ORDER, [], ["p", "r"], [], 0, Queue(THREAD, 2, "p")),
        (BOTH, [], ["r"], ["s", "u"], 0, Queue(HANDOVER, 0, "s")),
        (AFTER_STOP, ["a"], ["p", "r"], ["s"], 0, Queue(HANDOVER, 0, "s")),
        (IN_ORDER._replace(concurrency_key="k"), [], ["r"], [], 4, Queue(CONCURRENCY, 5, None)),
        (
            NO_GATES._replace(concurrency_key="k"),
            ["a"],
            ["p", "r"],
            ["s"],
            0,
            Queue(CONCURRENCY, 1, None),
        ),
    ],
)
def test_a_queued_run_names_its_first_closed_gate(
    facts: Gated,
    active: list[str],
    queued: list[str],
    stopping: list[str],
    ahead: int,
    answer: Queue,
) -> None:
    explained = queue.explain(
        facts, "r", NOW, active=active, queued=queued, stopping=stopping, ahead=ahead
    )
    assert explained == answer
