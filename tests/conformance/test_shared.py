"""What several servers see of a store that they share: the log's head, progress by number, and who is alive."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from runsvc.commit.command import Command, ExclusiveCommand
from runsvc.store.attachments import (
    Abandoned,
    AnyReleased,
    Attach,
    Extend,
    Register,
    Release,
    Unregister,
)
from tests.conformance.driver import RUNNING, Driver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from runsvc.core.model import Run
    from runsvc.store.attachments import AttachmentChange
    from runsvc.store.base import Store
    from runsvc.store.shared import SharedLog

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
async def stores(make_shared: Callable[[], Store]) -> AsyncIterator[Sequence[Store]]:
    stores = [make_shared(), make_shared()]
    for store in stores:
        await store.open()
    yield stores
    for store in stores:
        await store.close()


@pytest.fixture
def one(stores: Sequence[Store]) -> Driver:
    return Driver(stores[0])


@pytest.fixture
def other(stores: Sequence[Store]) -> Driver:
    return Driver(stores[1])


@pytest.fixture
def log(stores: Sequence[Store]) -> SharedLog:
    """What the first server reads."""
    assert stores[0].shared is not None
    return stores[0].shared


def make(driver: Driver, *changes: AttachmentChange) -> None:
    driver.carry_out(Command(lambda tx: tx.attach(*changes)))


def abandoned(driver: Driver, seconds: float, server: str = "s") -> Sequence[str]:
    return [each.run_id for each in driver.load(Abandoned(at(seconds), server, 9))]


def any_released(driver: Driver, server: str) -> bool:
    query = AnyReleased(server)
    driver.store.writing.begin()
    try:
        return bool(driver.store.writing.load([query]).counts[query])
    finally:
        driver.store.writing.rollback()


def servers(driver: Driver) -> Sequence[tuple[str, datetime]]:
    found = driver.carry_out(ExclusiveCommand(lambda tx: tx.reads.servers()))
    return [(each.server, each.seen_at) for each in found]


async def test_each_store_writes_after_the_changes_of_the_other(
    one: Driver, other: Driver, log: SharedLog
) -> None:
    runs = [driver.create("t", owner=f"o{n}") for n, driver in enumerate((one, other, one))]
    assert [run.revision for run in runs] == [1, 2, 3]
    head = await log.head(0, 9)
    assert [(each.revision, each.run_id) for each in head.entries] == [
        (run.revision, run.run_id) for run in runs
    ]
    assert head.entries == (await log.head(0, 9)).entries
    assert head.clock == await one.store.reading.clock()


async def test_the_head_has_the_entries_after_a_revision_up_to_the_limit(
    one: Driver, other: Driver, log: SharedLog
) -> None:
    for _ in range(4):
        other.create()
    assert [each.revision for each in (await log.head(1, 2)).entries] == [2, 3]
    assert (await log.head(4, 9)).entries == []
    one.forget(3)
    head = await log.head(1, 9)
    assert ([each.revision for each in head.entries], head.clock.oldest_revision) == ([4], 4)


async def test_the_identity_of_the_store_is_that_of_its_transactions(
    stores: Sequence[Store], log: SharedLog
) -> None:
    now = stores[1].writing.begin()
    stores[1].writing.rollback()
    assert now.store_id == (await log.head(0, 1)).clock.store_id != ""


async def test_progress_is_numbered_over_both_stores(
    one: Driver, other: Driver, log: SharedLog
) -> None:
    first, second = one.report(one.create(), RUNNING), one.report(one.create("u"), RUNNING)
    assert (await log.head(0, 1)).progress == 0
    assert await log.progressed(0, 9) == []
    other.progress(first, 1)
    one.progress(second, 1)
    other.progress(first, 2)
    assert (await log.head(0, 1)).progress == 3
    found = await log.progressed(0, 9)
    assert found is not None
    assert [(each.number, each.run_id) for each in found] == [
        (1, first.run_id),
        (2, second.run_id),
        (3, first.run_id),
    ]
    assert (found[1].owner, found[1].thread_id, found[1].assistant_id) == ("o", "u", None)
    assert [each.number for each in await log.progressed(1, 1) or ()] == [2]
    assert await log.progressed(3, 9) == []


async def test_heartbeats_and_changes_are_not_numbered(one: Driver, log: SharedLog) -> None:
    run = one.create(worker_id="w", lease_ttl=timedelta(seconds=10))
    one.report(run, RUNNING, worker_id="w")
    assert (await log.head(0, 1)).progress == 0


async def test_progress_of_removed_runs_is_left_out(one: Driver, log: SharedLog) -> None:
    run = one.report(one.create(), RUNNING)
    one.progress(run, 1)
    one.cancel(run)
    one.delete(run)
    assert await log.progressed(0, 9) == []
    assert (await log.head(0, 1)).progress == 1


async def test_old_numbers_are_not_known_for_ever(one: Driver, log: SharedLog) -> None:
    run = one.report(one.create(), RUNNING)
    count = 0
    while await log.progressed(0, 1) is not None:
        for _ in range(500):
            one.progress(run, count := count + 1)
        assert count < 20_000
    assert (await log.head(0, 1)).progress == count
    assert [each.number for each in await log.progressed(count - 1, 9) or ()] == [count]


async def test_hints_reach_every_server(stores: Sequence[Store], log: SharedLog) -> None:
    sender = stores[1].shared
    assert sender is not None
    async with asyncio.timeout(30):
        assert await log.listen()
        waiting = asyncio.create_task(log.hinted())
        await asyncio.sleep(0)
        await sender.hint()
        await waiting


async def test_servers_are_registered_until_they_are_forgotten(one: Driver, other: Driver) -> None:
    assert servers(one) == []
    make(one, Register("s", at(1)))
    make(other, Register("t", at(2)))
    make(one, Register("s", at(3)))
    assert servers(other) == [("s", at(3)), ("t", at(2))]
    make(one, Unregister(("t", "unknown"), at(9)))
    assert servers(other) == [("s", at(3))]


def attach(name: str, run: Run, server: str, until: float = 10) -> Attach:
    return Attach(name, run.run_id, server, at(until))


async def test_registered_servers_keep_their_attachments_from_expiring(
    one: Driver, other: Driver
) -> None:
    run = one.create()
    make(one, Register("s", at(1)), Register("t", at(1)), attach("a", run, "t"))
    assert abandoned(one, 1_000) == []
    assert not any_released(one, "s")
    make(one, Unregister(("t",), at(60)))
    assert any_released(other, "s")
    assert abandoned(one, 59) == []
    assert abandoned(one, 60) == [run.run_id]


async def test_a_server_takes_its_attachments_over_again(one: Driver, other: Driver) -> None:
    run = one.create()
    make(one, Register("s", at(1)), Register("t", at(1)), attach("a", run, "t"))
    make(one, Unregister(("t",), at(5)))
    make(other, Register("t", at(2)), attach("a", run, "t", 50))
    assert abandoned(one, 1_000) == []
    make(other, Release("a", at(7)))
    assert abandoned(one, 7) == [run.run_id]


async def test_attachments_are_extended_and_never_shortened(one: Driver) -> None:
    short, long = one.create(), one.create()
    make(one, attach("a", short, "", 5), attach("b", long, "", 50))
    make(one, Extend(at(20)))
    assert abandoned(one, 19) == []
    assert abandoned(one, 20) == [short.run_id]
    assert set(abandoned(one, 50)) == {short.run_id, long.run_id}
