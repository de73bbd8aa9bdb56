"""The end of a run as its watchers see it: whether further events can follow a state."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from runsvc.core import lifecycle
from runsvc.core.errors import CorruptRow
from runsvc.watch.event import change
from runsvc.watch.run_end import FINAL, OPEN, Outlook, RunEnd
from tests.conformance.driver import CODEC, RUNNING, SUCCESS, run_topic

if TYPE_CHECKING:
    from runsvc.core.model import Lease, Run
    from runsvc.store.memory import MemoryStore
    from runsvc.store.values import LogEntry
    from runsvc.watch.event import Event
    from tests.conformance.driver import Driver

PLAIN = RunEnd(CODEC, until_acknowledged=False)
UNTIL_ACKNOWLEDGED = RunEnd(CODEC, until_acknowledged=True)


async def entries_of(store: MemoryStore, run: Run) -> list[LogEntry]:
    return list((await store.reading.log_since(run_topic(run), 0, 99)).entries)


async def events_of(store: MemoryStore, run: Run) -> list[Event]:
    return [change(entry) for entry in await entries_of(store, run)]


def running(driver: Driver, lease_ttl: timedelta | None = None) -> Run:
    run = driver.create(worker_id="w", lease_ttl=lease_ttl)
    return driver.change(run, lambda run, at: lifecycle.report(run, RUNNING, at, worker_id="w"))


async def lease_of(store: MemoryStore, run: Run) -> Lease | None:
    record = await store.reading.get_without_kwargs(run.run_id, None)
    assert record is not None
    return CODEC.decode(record).lease


async def test_an_active_run_is_open(store: MemoryStore, driver: Driver) -> None:
    entries = await entries_of(store, running(driver))
    for run_end in (PLAIN, UNTIL_ACKNOWLEDGED):
        assert [run_end.outlook(entry) for entry in entries] == [OPEN, OPEN]


async def test_a_success_is_final(store: MemoryStore, driver: Driver) -> None:
    run = driver.report(driver.create(), SUCCESS)
    for run_end in (PLAIN, UNTIL_ACKNOWLEDGED):
        assert run_end.outlook((await entries_of(store, run))[-1]) == FINAL


@pytest.mark.parametrize("lease_ttl", [None, timedelta(seconds=10)])
async def test_after_a_cancel_an_acknowledgement_can_follow_as_long_as_the_lease_holds(
    store: MemoryStore, driver: Driver, lease_ttl: timedelta | None
) -> None:
    run = driver.cancel(running(driver, lease_ttl))
    cancelled = (await entries_of(store, run))[-1]
    assert PLAIN.outlook(cancelled) == FINAL
    lease = await lease_of(store, run)
    assert (lease is None) == (lease_ttl is None)
    assert UNTIL_ACKNOWLEDGED.outlook(cancelled) == Outlook(is_final=False, lease=lease)
    driver.acknowledge(run)
    assert UNTIL_ACKNOWLEDGED.outlook((await entries_of(store, run))[-1]) == FINAL


async def test_no_acknowledgement_follows_the_cancel_of_a_run_that_never_started(
    store: MemoryStore, driver: Driver
) -> None:
    run = driver.cancel(driver.create())
    assert UNTIL_ACKNOWLEDGED.outlook((await entries_of(store, run))[-1]) == FINAL


async def test_a_removal_is_final_and_entries_without_a_body_are_open(
    store: MemoryStore, driver: Driver
) -> None:
    run = driver.report(driver.create(), SUCCESS)
    driver.delete(run)
    entries = await entries_of(store, run)
    for run_end in (PLAIN, UNTIL_ACKNOWLEDGED):
        assert [run_end.outlook(entry) for entry in entries] == [OPEN, OPEN, FINAL]


async def test_a_corrupt_state_is_decoded_only_if_an_acknowledgement_counts(
    store: MemoryStore, driver: Driver
) -> None:
    run = driver.report(driver.create(), SUCCESS)
    damaged = (await entries_of(store, run))[-1]._replace(body=b"\xff")
    assert PLAIN.outlook(damaged) == FINAL
    with pytest.raises(CorruptRow):
        UNTIL_ACKNOWLEDGED.outlook(damaged)


async def test_changes_are_cut_after_the_end(store: MemoryStore, driver: Driver) -> None:
    run = driver.cancel(running(driver))
    driver.acknowledge(run)
    events = await events_of(store, run)
    assert len(events) == 4
    assert PLAIN.cut(events) == (events[:3], FINAL)
    assert UNTIL_ACKNOWLEDGED.cut(events) == (events, FINAL)


async def test_changes_before_the_end_are_not_cut(store: MemoryStore, driver: Driver) -> None:
    run = running(driver)
    events = await events_of(store, run)
    assert PLAIN.cut(events) == (events, OPEN)
    run = driver.cancel(run)
    events = await events_of(store, run)
    outlook = Outlook(is_final=False, lease=await lease_of(store, run))
    assert UNTIL_ACKNOWLEDGED.cut(events) == (events, outlook)
