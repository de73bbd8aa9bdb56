"""Registration: who is alive, and what becomes of the attachments of the dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runsvc.commit.group_commit import GroupCommit
from runsvc.commit.writer import Writer
from runsvc.core.model import RunStatus
from runsvc.maintenance import expiry
from runsvc.maintenance.attachments import GRACE, RECONNECT_GRACE, Attachments
from runsvc.maintenance.lease_clock import LeaseClock
from runsvc.maintenance.registration import TTL, Registration
from runsvc.store import rows
from runsvc.store.memory import MemoryStore
from runsvc.store.memory.data import MemoryData
from tests.conformance.driver import CODEC, Driver
from tests.support.machine import Machine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from runsvc.core.model import Run

STEP = expiry.INTERVAL.total_seconds()
TTL_SECONDS = TTL.total_seconds()
RETURN_SECONDS = RECONNECT_GRACE.total_seconds()


class Server:
    """One of the servers of a shared store."""

    def __init__(self, data: MemoryData, machine: Machine) -> None:
        self.timekeeper = machine.timekeeper()
        self.store = MemoryStore(self.timekeeper, shared=data)
        self.writer = Writer(GroupCommit(self.store.writing, CODEC), lambda _: None)
        self.lease_clock = LeaseClock(self.timekeeper, expiry.INTERVAL)
        self.attachments = Attachments(
            self.writer, self.lease_clock, self.timekeeper, is_shared=True
        )
        self.registration = Registration(self.writer, self.lease_clock, self.attachments)

    async def serve_once(self) -> None:
        """What a server does at intervals."""
        time = rows.from_microseconds(self.timekeeper.now())
        self.lease_clock.record_beat(self.lease_clock.read(time))
        await self.registration.run()
        await self.attachments.run()


class World:
    def __init__(self) -> None:
        self.machine = Machine()
        self.data = MemoryData()
        self.data.is_open = True
        self.driver = Driver(MemoryStore(self.machine.timekeeper(), shared=self.data))
        self.servers: list[Server] = []

    async def start(self) -> tuple[Server, Sequence[str]]:
        server = Server(self.data, self.machine)
        self.servers.append(server)
        return server, await server.registration.start()

    async def serve(self, seconds: float, *servers: Server) -> None:
        """Let time pass in which these servers serve, and no others."""
        for _ in range(round(seconds / STEP)):
            self.machine.go_on(STEP)
            for server in servers:
                await server.serve_once()

    async def attached(self, server: Server) -> Run:
        run = self.driver.create()
        await server.attachments.attach(run.owner, run.run_id)
        return run

    def is_active(self, run: Run) -> bool:
        return self.data.rows[run.run_id].run.status is RunStatus.PENDING


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    for server in world.servers:
        await server.writer.close()


async def test_a_new_server_finds_those_that_are_alive(world: World) -> None:
    one, others = await world.start()
    assert others == []
    other, others = await world.start()
    assert others == [one.attachments.server]
    await world.serve(TTL_SECONDS, other)
    assert (await world.start())[1] == [other.attachments.server]


async def test_attachments_of_living_servers_are_kept(world: World) -> None:
    one, _ = await world.start()
    run = await world.attached(one)
    other, _ = await world.start()
    await world.serve(2 * RETURN_SECONDS, one, other)
    assert world.is_active(run)


async def test_clients_of_a_dead_server_have_their_time_to_return(world: World) -> None:
    one, _ = await world.start()
    other, _ = await world.start()
    leaves, returns = await world.attached(one), await world.attached(one)
    await world.serve(1, one, other)
    await world.serve(TTL_SECONDS - 1, other)
    assert one.attachments.server in world.data.attachments.servers
    await world.serve(2, other)
    assert one.attachments.server not in world.data.attachments.servers
    await world.serve(RETURN_SECONDS - 2, other)
    assert world.is_active(leaves)
    await other.attachments.attach(returns.owner, returns.run_id)
    await world.serve(3, other)
    assert not world.is_active(leaves)
    assert world.is_active(returns)


async def test_no_server_is_dead_because_of_an_outage(world: World) -> None:
    one, _ = await world.start()
    other, _ = await world.start()
    await world.serve(1, one, other)
    # The database is away for a long time, and `other` is the first to reach it again.
    world.machine.go_on(3_600)
    await world.serve(TTL_SECONDS - 2, other)
    assert one.attachments.server in world.data.attachments.servers
    await world.serve(1, one, other)
    assert len(world.data.attachments.servers) == 2


async def test_a_server_that_was_taken_for_dead_keeps_its_clients(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    paused, _ = await world.start()
    other, _ = await world.start()
    run, ended = await world.attached(paused), await world.attached(paused)
    world.driver.cancel(ended)
    world.driver.delete(ended)
    await world.serve(1, paused, other)
    await world.serve(TTL_SECONDS + 5, other)
    assert paused.attachments.server not in world.data.attachments.servers
    assert "is dead" in caplog.text
    await world.serve(RETURN_SECONDS + 30, paused, other)
    assert paused.attachments.server in world.data.attachments.servers
    assert world.is_active(run)
    for attachment_id in list(paused.attachments._held):
        paused.attachments.leave(attachment_id)
    await world.serve(GRACE.total_seconds() + 1, paused, other)
    assert not world.is_active(run)


async def test_after_an_outage_of_all_servers_clients_have_their_time_again(world: World) -> None:
    one, _ = await world.start()
    held, left = await world.attached(one), await world.attached(one)
    one.attachments.leave(list(one.attachments._held)[1])
    await world.serve(1, one)
    world.machine.go_on(3_600)
    successor, others = await world.start()
    assert others == []
    await world.serve(RETURN_SECONDS - 1, successor)
    assert world.is_active(held)
    assert world.is_active(left)
    await world.serve(TTL_SECONDS + 3, successor)
    assert not world.is_active(left)
    assert not world.is_active(held)


async def test_a_server_that_starts_beside_others_gives_no_one_more_time(world: World) -> None:
    one, _ = await world.start()
    run = await world.attached(one)
    await world.serve(GRACE.total_seconds() + 1, one)
    one.attachments.leave(next(iter(one.attachments._held)))
    await world.serve(1, one)
    other, _ = await world.start()
    await world.serve(GRACE.total_seconds() + 1, one, other)
    assert not world.is_active(run)


async def test_a_server_that_stops_is_forgotten_at_once(world: World) -> None:
    one, _ = await world.start()
    other, _ = await world.start()
    run = await world.attached(one)
    await one.registration.close()
    assert list(world.data.attachments.servers) == [other.attachments.server]
    await world.serve(RETURN_SECONDS - 1, other)
    assert world.is_active(run)
    await world.serve(2, other)
    assert not world.is_active(run)


async def test_a_stop_does_not_wait_for_a_store_that_fails(world: World) -> None:
    one, _ = await world.start()
    world.data.is_open = False
    await one.registration.close()
