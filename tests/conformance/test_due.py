"""Queries for expired leases and timeouts."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.core import lifecycle, stopping
from runsvc.store.queries import DueLeases, DueTimeouts, Lapsed, Orphans
from tests.conformance.driver import CODEC, INPUT, PENDING, RUNNING, SUCCESS, Driver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from runsvc.core.model import Run
    from runsvc.store.queries import Query

SECOND = timedelta(seconds=1)
MOMENT = timedelta(microseconds=1)
EVER = timedelta.max


def leased(driver: Driver, seconds: float) -> Run:
    return driver.create(worker_id="w", lease_ttl=timedelta(seconds=seconds))


def started(driver: Driver, run: Run) -> Run:
    return driver.change(
        run, lambda run, at: lifecycle.report(run, RUNNING, at, worker_id=run.worker_id)
    )


def expires_at(run: Run) -> datetime:
    assert run.lease is not None
    return run.lease.expires_at


def found(driver: Driver, query: Query) -> Sequence[str]:
    return [record.run_id for record in driver.load(query)]


def ids(*runs: Run) -> Sequence[str]:
    return [run.run_id for run in runs]


def test_leases_are_found_from_their_expiry_on_earliest_first(driver: Driver) -> None:
    late, early = leased(driver, 20), leased(driver, 10)
    driver.create()
    assert found(driver, DueLeases(expires_at(early) - MOMENT, EVER, 9)) == []
    assert found(driver, DueLeases(expires_at(early), EVER, 9)) == ids(early)
    assert found(driver, DueLeases(expires_at(late), EVER, 9)) == ids(early, late)
    assert found(driver, DueLeases(expires_at(late), EVER, 1)) == ids(early)
    assert found(driver, DueLeases(expires_at(late), EVER, 1, 1)) == ids(late)
    assert found(driver, DueLeases(expires_at(late), EVER, 9, 2)) == []


def test_leases_are_found_up_to_a_length(driver: Driver) -> None:
    long, short = leased(driver, 20), leased(driver, 10)
    at = expires_at(long)
    assert found(driver, DueLeases(at, timedelta(0), 9)) == []
    assert found(driver, DueLeases(at, 10 * SECOND - MOMENT, 9)) == []
    assert found(driver, DueLeases(at, 10 * SECOND, 9)) == ids(short)
    assert found(driver, DueLeases(at, 20 * SECOND, 9)) == ids(short, long)


def test_a_renewed_lease_is_found_later(driver: Driver) -> None:
    run = leased(driver, 10)
    renewed = driver.change(run, lambda run, at: lifecycle.renew(run, at))
    assert expires_at(renewed) > expires_at(run)
    assert found(driver, DueLeases(expires_at(renewed) - MOMENT, EVER, 9)) == []
    assert found(driver, DueLeases(expires_at(renewed), EVER, 9)) == ids(run)


def test_a_start_timeout_is_found_while_the_run_is_pending(driver: Driver) -> None:
    run = driver.create(start_timeout=5 * SECOND, timeout=50 * SECOND)
    at = run.created_at + 5 * SECOND
    assert found(driver, DueTimeouts(at - MOMENT, 9)) == []
    assert found(driver, DueTimeouts(at, 9)) == ids(run)


def test_a_timeout_is_found_while_the_run_is_running(driver: Driver) -> None:
    run = started(driver, driver.create(start_timeout=5 * SECOND, timeout=50 * SECOND))
    assert run.started_at is not None
    at = run.started_at + 50 * SECOND
    assert found(driver, DueTimeouts(at - MOMENT, 9)) == []
    assert found(driver, DueTimeouts(at, 9)) == ids(run)


def test_timeouts_are_found_earliest_first(driver: Driver) -> None:
    runs = [driver.create(start_timeout=seconds * SECOND) for seconds in (9, 3, 6)]
    at = runs[0].created_at + 9 * SECOND
    assert found(driver, DueTimeouts(at, 9)) == ids(runs[1], runs[2], runs[0])
    assert found(driver, DueTimeouts(at, 2)) == ids(runs[1], runs[2])
    assert found(driver, DueTimeouts(at, 2, 1)) == ids(runs[2], runs[0])


def test_terminal_runs_are_never_due(driver: Driver) -> None:
    run = driver.create(worker_id="w", lease_ttl=SECOND, start_timeout=SECOND, timeout=SECOND)
    at = run.created_at + 9 * SECOND
    assert found(driver, DueLeases(at, EVER, 9)) == found(driver, DueTimeouts(at, 9))
    driver.change(run, lambda run, at: lifecycle.report(run, SUCCESS, at, worker_id="w"))
    cancelled = driver.cancel(started(driver, leased(driver, 1)))
    assert cancelled.lease is not None
    assert found(driver, DueTimeouts(at, 9)) == []
    # Until its lease is over, its executor may still be at work.
    assert found(driver, DueLeases(at, EVER, 9)) == ids(cancelled)
    driver.change(cancelled, lambda run, at: stopping.acknowledge_cancel(run, at, worker_id="w"))
    for query in (DueLeases(at, EVER, 9), DueTimeouts(at, 9)):
        assert found(driver, query) == []


@pytest.mark.parametrize("kind", [partial(DueLeases, longest=EVER), DueTimeouts])
def test_due_runs_have_their_body_but_no_kwargs(
    driver: Driver, kind: Callable[..., DueLeases | DueTimeouts]
) -> None:
    run = driver.create(
        worker_id="w", lease_ttl=SECOND, start_timeout=SECOND, kwargs=INPUT, owner="another"
    )
    (record,) = driver.load(kind(at=run.created_at + SECOND, limit=9))
    assert record.kwargs is None
    assert CODEC.decode(record) == run


def test_a_run_with_a_lapsed_lease_is_an_orphan_on_request(driver: Driver) -> None:
    lapsed, free, holding = leased(driver, 5), driver.create(), leased(driver, 50)
    due = Lapsed(expires_at(lapsed), EVER)
    assert found(driver, Orphans(None, 9)) == ids(free)
    assert found(driver, Orphans(None, 9, due)) == ids(lapsed, free)
    assert found(driver, Orphans(None, 1, due)) == ids(lapsed)
    assert found(driver, Orphans(lapsed.created_at, 9, due)) == ids(lapsed)
    in_grace = Lapsed(due.at, 5 * SECOND - MOMENT)
    assert found(driver, Orphans(None, 9, in_grace)) == ids(free)
    later = Lapsed(expires_at(holding), EVER)
    assert found(driver, Orphans(None, 9, later)) == ids(lapsed, free, holding)


def test_orphans_are_selected_by_status_and_assistant(driver: Driver) -> None:
    pending, running = driver.create(assistant_id="a"), started(driver, driver.create())
    other = started(driver, driver.create(assistant_id="b"))
    lapsed = started(driver, leased(driver, 5))
    due = Lapsed(expires_at(lapsed), EVER)

    def selected(**selection: Any) -> Sequence[str]:
        return found(driver, Orphans(None, 9, due, **selection))

    assert selected(statuses=frozenset({PENDING})) == ids(pending)
    assert selected(statuses=frozenset({RUNNING})) == ids(running, other, lapsed)
    assert selected(assistant_id="a") == ids(pending)
    assert selected(assistant_id="b", statuses=frozenset({RUNNING})) == ids(other)
    assert selected(assistant_id="a", statuses=frozenset({RUNNING})) == []
