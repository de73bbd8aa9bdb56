"""The progress backlog: it holds few runs, and scans all active runs after an overflow."""

from __future__ import annotations

from runsvc.watch.progress_backlog import ProgressBacklog


def backlog_of(run_ids: str) -> ProgressBacklog:
    backlog = ProgressBacklog(capacity=3)
    for run_id in run_ids:
        backlog.mark(run_id)
    return backlog


def test_marked_runs_are_taken_once() -> None:
    backlog = ProgressBacklog(capacity=3)
    assert not backlog
    for run_id in "abab":
        backlog.mark(run_id)
    assert backlog
    assert sorted(backlog.take()) == ["a", "b"]
    assert not backlog


def test_after_an_overflow_the_active_runs_are_scanned_in_chunks() -> None:
    backlog = backlog_of("gfedcba")
    assert len(backlog) == 3
    assert sorted(backlog.take()) == ["e", "f", "g"]
    assert backlog.take() == ()
    assert backlog.scan("gcabdfe") == ["a", "b", "c"]
    assert backlog.take() == ()
    assert backlog.scan("gabdfe") == ["d", "e", "f"]
    assert backlog.take() == ()
    assert backlog.scan("gabdfe") == ["g"]
    assert not backlog


def test_a_run_that_is_marked_during_a_scan_is_taken() -> None:
    backlog, active = backlog_of("abcd"), "abcde"
    backlog.take()
    assert backlog.take() == ()
    assert backlog.scan(active) == ["a", "b", "c"]
    backlog.mark("b")
    assert backlog.take() == ["b"]
    # After another overflow, the scan is completed, and a second one follows.
    for run_id in "abcd":
        backlog.mark(run_id)
    backlog.take()
    assert backlog.take() == ()
    assert backlog.scan(active) == ["d", "e"]
    assert backlog
    assert backlog.take() == ()
    assert backlog.scan(active) == ["a", "b", "c"]
    assert backlog.take() == ()
    assert backlog.scan(active) == ["d", "e"]
    assert not backlog


def test_a_run_that_is_marked_while_the_active_runs_are_read_is_taken() -> None:
    backlog = backlog_of("abcd")
    backlog.take()
    assert backlog.take() == ()
    backlog.mark("d")
    assert backlog.scan("") == []
    assert backlog.take() == ["d"]
    assert not backlog
