"""Admission of a new run beside a thread's active ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from runsvc.core import lifecycle
from runsvc.core.admission import DISPLACING, check_free, check_room, check_supported
from runsvc.core.errors import ThreadBusy, ThreadFull, UnsupportedStrategy
from runsvc.core.model import (
    ACTIVE,
    CancelAction,
    MultitaskStrategy,
    Run,
    RunSpec,
    RunStatus,
    Stamp,
)

REJECT, INTERRUPT, ROLLBACK, ENQUEUE = MultitaskStrategy
ACTIONS = {INTERRUPT: CancelAction.INTERRUPT, ROLLBACK: CancelAction.ROLLBACK}


def active_run(run_id: str, status: RunStatus = RunStatus.PENDING) -> Run:
    born = Stamp(1, datetime(2026, 1, 1, tzinfo=UTC))
    run = lifecycle.create(RunSpec(thread_id="t"), run_id=run_id, owner="o", at=born)
    return replace(run, status=status)


@pytest.mark.parametrize("strategy", [REJECT, INTERRUPT, ROLLBACK])
def test_a_supported_strategy_is_accepted(strategy: MultitaskStrategy) -> None:
    check_supported(strategy)


def test_enqueue_is_refused_and_the_error_names_the_supported_strategies() -> None:
    with pytest.raises(UnsupportedStrategy) as refused:
        check_supported(ENQUEUE)
    assert refused.value.strategy == "ENQUEUE"
    assert refused.value.supported == "REJECT, INTERRUPT, ROLLBACK"


def test_a_thread_without_active_runs_is_free() -> None:
    check_free(None)


@pytest.mark.parametrize("status", sorted(ACTIVE))
def test_a_busy_thread_is_refused_with_the_blocking_run(status: RunStatus) -> None:
    with pytest.raises(ThreadBusy) as refused:
        check_free(active_run("new", status))
    assert vars(refused.value) == {"thread_id": "t", "run_id": "new", "status": status}


def test_each_displacing_strategy_has_a_cancel_action() -> None:
    assert DISPLACING == ACTIONS


@pytest.mark.parametrize(("active", "limit"), [(0, 1), (999, 1_000)])
def test_below_the_limit_there_is_room(active: int, limit: int) -> None:
    check_room("t", active, limit)


@pytest.mark.parametrize(("active", "limit"), [(1, 1), (1_000, 1_000), (1_001, 1_000)])
def test_at_the_limit_a_thread_is_full(active: int, limit: int) -> None:
    with pytest.raises(ThreadFull) as refused:
        check_room("t", active, limit)
    assert refused.value.thread_id == "t"
