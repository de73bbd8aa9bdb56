"""PostgreSQL: commits whose answer is lost, lost connections, and the lock of the clock."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from runsvc.commit.command import Command
from runsvc.core.errors import OutcomeUnknown, StoreBusy, StoreUnavailable
from runsvc.core.model import RunSpec
from runsvc.store.postgres import PostgresStore, connection, settling
from runsvc.store.postgres.sql import HEAD
from tests.conformance.driver import ALL, CODEC, RUNNING, Driver
from tests.support.proxy import Proxy, proxied
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from runsvc.commit.group_commit import Outcome
    from runsvc.commit.transaction import Transaction
    from runsvc.core.model import Run


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(postgres_url, CODEC)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def driver(store: PostgresStore) -> Driver:
    return Driver(store)


@pytest.fixture
def operator(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of another program to the same schema."""
    schema = postgres_url.rpartition("schema=")[2]
    url = postgres_url.replace(f"schema={schema}", f"options=-csearch_path%3D{schema}")
    with psycopg.connect(url, autocommit=True) as operator:
        yield operator


def terminate_others(operator: psycopg.Connection[Any], schema: str) -> int:
    """End the sessions of the store, as a restart of the database does."""
    found = operator.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = %s AND pid <> pg_backend_pid()",
        (schema,),
    ).fetchall()
    return len(found)


def creating(driver: Driver, run_id: str) -> Outcome:
    """Create a run on the present thread, and return the outcome of the call."""

    def decide(tx: Transaction) -> Run:
        return tx.create(RunSpec(thread_id="t"), run_id=run_id, owner="o", request=None)

    (outcome,) = driver.batch(Command(decide)).outcomes
    return outcome


@asynccontextmanager
async def behind_a_proxy(url: str) -> AsyncIterator[tuple[Proxy, PostgresStore, Driver]]:
    """A store that reaches its database through a proxy."""
    parts = urlsplit(url)
    credentials, _, server = parts.netloc.rpartition("@")
    async with proxied(server) as proxy:
        store = PostgresStore(
            urlunsplit(parts._replace(netloc=f"{credentials}@{proxy.address}")), CODEC
        )
        await store.open()
        try:
            yield proxy, store, Driver(store)
        finally:
            await store.close()


async def is_committed(operator: psycopg.Connection[Any], run_id: str) -> None:
    """Wait until another connection sees a run."""
    statement = "SELECT 1 FROM runs WHERE run_id = %s"
    await until(lambda: operator.execute(statement, (run_id,)).fetchall())


async def test_a_commit_whose_answer_is_lost_succeeds(
    postgres_url: str, operator: psycopg.Connection[Any]
) -> None:
    async with behind_a_proxy(postgres_url) as (proxy, store, driver):
        await asyncio.to_thread(creating, driver, "first")
        with muted_at_commit(store, proxy):
            task = asyncio.create_task(asyncio.to_thread(creating, driver, "second"))
            await is_committed(operator, "second")
            proxy.cut()
            outcome = await task
        assert outcome.error is None
        assert outcome.answer.revision == 2
        assert (await asyncio.to_thread(creating, driver, "third")).answer.revision == 3
        assert (await store.reading.clock()).revision == 3


async def test_a_commit_that_did_not_arrive_has_no_effect(postgres_url: str) -> None:
    async with behind_a_proxy(postgres_url) as (proxy, store, driver):
        await asyncio.to_thread(creating, driver, "first")
        with muted_at_commit(store, proxy, swallow=True) as has_begun:
            task = asyncio.create_task(asyncio.to_thread(creating, driver, "second"))
            await has_begun.wait()
            proxy.cut()
            outcome = await task
        assert type(outcome.error) is StoreUnavailable
        assert (await store.reading.clock()).revision == 1
        assert (await asyncio.to_thread(creating, driver, "second")).answer.revision == 2


async def test_a_commit_that_a_promoted_replica_lacks_has_no_effect(
    postgres_url: str, operator: psycopg.Connection[Any]
) -> None:
    """Its number belongs to a commit of another server there."""
    async with behind_a_proxy(postgres_url) as (proxy, store, driver):
        with muted_at_commit(store, proxy):
            task = asyncio.create_task(asyncio.to_thread(creating, driver, "lost"))
            await is_committed(operator, "lost")
            operator.execute("UPDATE commits SET server = gen_random_uuid() WHERE number = 1")
            proxy.cut()
            outcome = await task
        assert type(outcome.error) is StoreUnavailable


async def test_the_outcome_is_unknown_while_the_database_is_out_of_reach(
    postgres_url: str, operator: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "SETTLE", 0.5)
    async with behind_a_proxy(postgres_url) as (proxy, store, driver):
        with muted_at_commit(store, proxy):
            task = asyncio.create_task(asyncio.to_thread(creating, driver, "once"))
            await is_committed(operator, "once")
            reachable, proxy._port = proxy._port, "1"
            proxy.cut()
            outcome = await task
        assert type(outcome.error) is OutcomeUnknown
        proxy._port = reachable
        async with asyncio.timeout(PATIENCE):
            while (again := await asyncio.to_thread(creating, driver, "twice")).error is not None:
                assert type(again.error) is StoreUnavailable
                await asyncio.sleep(0.05)
        assert again.answer.revision == 2


def muted_at_commit(store: PostgresStore, proxy: Proxy, *, swallow: bool = False) -> Muted:
    return Muted(store, proxy, swallow=swallow)


class Muted:
    """Within the block, the answer to a commit does not arrive, or with `swallow` the commit itself."""

    def __init__(self, store: PostgresStore, proxy: Proxy, *, swallow: bool) -> None:
        self._writing = store.writing
        self._act = proxy.swallow if swallow else proxy.mute
        self._commit = store.writing.commit
        self._begun = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> asyncio.Event:
        self._writing.commit = self._commit_muted  # type: ignore[method-assign]
        return self._begun

    def __exit__(self, *_: object) -> None:
        self._writing.commit = self._commit  # type: ignore[method-assign]

    def _commit_muted(self) -> None:
        asyncio.run_coroutine_threadsafe(self._mute(), self._loop).result()
        self._commit()

    async def _mute(self) -> None:
        self._act()
        self._begun.set()


async def test_sessions_that_end_while_they_are_idle_are_replaced_unnoticed(
    postgres_url: str, operator: psycopg.Connection[Any]
) -> None:
    name = postgres_url.rpartition("schema=")[2]
    store = PostgresStore(f"{postgres_url}&application_name={name}", CODEC)
    await store.open()
    driver = Driver(store)
    run = driver.create()
    await asyncio.gather(*(store.reading.get(run.run_id, None) for _ in range(4)))
    assert terminate_others(operator, name) >= 3
    assert driver.report(run, RUNNING).revision == 2
    found = await asyncio.gather(*(store.reading.get(run.run_id, None) for _ in range(4)))
    assert {record.revision for record in found if record} == {2}
    await store.close()


async def test_a_session_that_ends_within_a_transaction_fails_it(
    postgres_url: str, operator: psycopg.Connection[Any]
) -> None:
    name = postgres_url.rpartition("schema=")[2]
    store = PostgresStore(f"{postgres_url}&application_name={name}", CODEC)
    await store.open()
    driver = Driver(store)
    run = driver.create()

    def decide(tx: Transaction) -> None:
        terminate_others(operator, name)
        tx.create(RunSpec(thread_id="t"), run_id="lost", owner="o", request=None)

    (outcome,) = driver.batch(Command(decide)).outcomes
    assert type(outcome.error) is StoreUnavailable
    assert driver.report(run, RUNNING).revision == 2
    assert len((await store.reading.log_since(ALL, 0, 9)).entries) == 2
    await store.close()


async def test_a_locked_clock_is_busy(
    postgres_url: str, operator: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection._WRITER, "lock_timeout", "50ms")
    store = PostgresStore(postgres_url, CODEC)
    await store.open()
    with operator.transaction():
        operator.execute("SELECT 1 FROM clock FOR UPDATE")
        with pytest.raises(StoreBusy, match="lock timeout"):
            store.writing.begin()
        assert (await store.reading.clock()).revision == 0
    assert Driver(store).create().revision == 1
    await store.close()


async def test_a_server_that_stops_within_a_transaction_loses_the_clock(
    postgres_url: str, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection._WRITER, "idle_in_transaction_session_timeout", "100ms")
    paused = PostgresStore(postgres_url, CODEC)
    await paused.open()

    def decide(tx: Transaction) -> None:
        # The transaction is idle until the other server has the clock.
        assert driver.create().revision == 1
        tx.create(RunSpec(thread_id="t"), run_id="lost", owner="o", request=None)

    (outcome,) = Driver(paused).batch(Command(decide)).outcomes
    assert type(outcome.error) is StoreUnavailable
    assert Driver(paused).create().revision == 2
    await paused.close()


async def test_two_servers_take_turns(postgres_url: str, store: PostgresStore) -> None:
    other = PostgresStore(postgres_url, CODEC)
    await other.open()
    drivers = Driver(store), Driver(other)

    def create(driver: Driver) -> list[int]:
        return [driver.create().revision for _ in range(25)]

    revisions = await asyncio.gather(*(asyncio.to_thread(create, each) for each in drivers))
    assert sorted(revisions[0] + revisions[1]) == list(range(1, 51))
    assert all(list(each) == sorted(each) for each in revisions)
    assert (await other.reading.clock()).revision == 50
    await other.close()


async def test_commits_read_as_little_while_an_old_snapshot_is_open(
    driver: Driver, operator: psycopg.Connection[Any]
) -> None:
    """No version of a row can be removed then. The newest commit is found without a step over others."""
    with operator.transaction():
        operator.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        operator.execute("SELECT count(*) FROM commits")
        for _ in range(300):
            driver.create()
        writer = driver.store.writing._connection  # type: ignore[attr-defined]
        plan = writer.execute(f"EXPLAIN (ANALYZE, BUFFERS) SELECT number {HEAD}").fetchall()
    (buffers,) = re.findall(r"shared hit=(\d+)", plan[1][0] + plan[2][0])[:1]
    assert int(buffers) <= 5
