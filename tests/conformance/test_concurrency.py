"""Concurrency: readers beside the writer, cancelled reads, and batches of commands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runsvc.commit.command import Command
from runsvc.core import lifecycle
from runsvc.core.errors import InvalidTransition, RequestIdReused
from runsvc.core.model import RunSpec, RunStatus
from runsvc.store.queries import ById, ByRequest, PageQuery
from tests.conformance.driver import ALL, ERROR, SUCCESS, Driver, a_request

if TYPE_CHECKING:
    from runsvc.commit.transaction import Transaction
    from runsvc.store.base import Store


async def test_reads_run_concurrently(store: Store, driver: Driver) -> None:
    run = driver.create()
    query = PageQuery(owner="o", thread_id="t", limit=1, max_bytes=1)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(store.reading.get(run.run_id, None))
            group.create_task(store.reading.page(query))
            group.create_task(store.reading.snapshot(ALL))
            group.create_task(store.reading.log_since(ALL, 0, 9))
        driver.report(run, SUCCESS)
    assert await store.reading.count_active() == 0


async def test_a_cancelled_read_leaves_the_store_usable(store: Store, driver: Driver) -> None:
    for _ in range(50):
        driver.create()
    query = PageQuery(owner="o", thread_id="t", limit=500, max_bytes=1 << 20)
    for turns in range(4):
        reads = [
            asyncio.ensure_future(read)
            for read in (
                store.reading.page(query),
                store.reading.snapshot(ALL),
                store.reading.log_since(ALL, 0, 99),
                store.reading.log_tail(99, 1 << 20),
                store.reading.with_displaced("x"),
                store.reading.count_active(),
            )
        ]
        for _ in range(turns):
            await asyncio.sleep(0)
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
    async with asyncio.timeout(30):
        assert len(await store.reading.page(query)) == 50
        assert len((await store.reading.snapshot(ALL)).states) == 50
        assert driver.create().revision == 51
        # The newest state is visible, so no read transaction was left open.
        assert len((await store.reading.log_since(ALL, 0, 99)).entries) == 51
        assert await store.reading.count_active() == 51


def test_only_the_first_of_several_endings_in_a_batch_succeeds(driver: Driver) -> None:
    run = driver.create()
    query = ById(run.run_id, None)

    def ending(status: RunStatus) -> Command[None]:
        def decide(tx: Transaction) -> None:
            before = tx.run(query)
            tx.save(before, lifecycle.report(before, status, tx.stamp(), worker_id=None))

        return Command(decide, (query,))

    first, *others = driver.batch(ending(SUCCESS), *(ending(ERROR) for _ in range(9))).outcomes
    assert first.error is None
    assert {type(other.error) for other in others} == {InvalidTransition}


async def test_many_creations_with_one_request_id_admit_one_run(
    store: Store, driver: Driver
) -> None:
    request = a_request("once")
    query = ByRequest(request.key)

    def decide(tx: Transaction) -> str:
        if (earlier := tx.replay(query, request.spec_hash)) is not None:
            return earlier.run_id
        spec = RunSpec(thread_id="t")
        return tx.create(spec, run_id=tx.new_run_id(), owner="o", request=request).run_id

    command = Command(decide, (query,))
    for _ in range(2):
        outcomes = driver.batch(*[command] * 9).outcomes
        assert len({outcome.answer for outcome in outcomes}) == 1
    assert await store.reading.count_active() == 1
    (outcome,) = driver.batch(
        Command(lambda tx: tx.replay(query, b"another spec"), (query,))
    ).outcomes
    assert isinstance(outcome.error, RequestIdReused)
