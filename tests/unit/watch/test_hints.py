"""Hints: one for many commits, and a read for each that arrives."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from runsvc.core.errors import StoreUnavailable
from runsvc.watch.hints import Hints
from runsvc.watch.pace import Pace
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest


class Connection:
    """The hints of a shared store, which a test breaks."""

    def __init__(self) -> None:
        self.works = True
        self.sent = 0
        self.arrived = asyncio.Event()

    async def listen(self) -> bool:
        if self.works:
            return True
        raise StoreUnavailable("down")

    async def hinted(self) -> None:
        await self.arrived.wait()
        self.arrived.clear()
        if not self.works:
            raise StoreUnavailable("down")

    async def hint(self) -> None:
        if not self.works:
            raise StoreUnavailable("down")
        self.sent += 1


@asynccontextmanager
async def running(hints: Hints) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in (hints.send(), hints.receive())]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_one_hint_is_sent_for_many_commits() -> None:
    connection, pace = Connection(), Pace(lambda: True)
    hints = Hints(connection, pace, interval=3_600)  # type: ignore[arg-type]
    async with running(hints):
        for _ in range(5):
            hints.send_soon()
        await until(lambda: connection.sent == 1)
        hints.send_soon()
        await asyncio.sleep(0.05)
        assert connection.sent == 1


async def test_a_hint_that_cannot_be_sent_does_not_end_the_next_ones() -> None:
    connection, pace = Connection(), Pace(lambda: True)
    hints = Hints(connection, pace, interval=0, retry=0)  # type: ignore[arg-type]
    async with running(hints):
        connection.works = False
        hints.send_soon()
        await until(lambda: not hints._wanted.is_set())
        connection.works = True
        hints.send_soon()
        await until(lambda: connection.sent == 1)


async def test_a_lost_connection_is_replaced_and_polling_takes_its_place_meanwhile(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection, pace = Connection(), Pace(lambda: True)
    hints = Hints(connection, pace, interval=0, retry=0.01)  # type: ignore[arg-type]
    async with running(hints):
        await until(lambda: pace.has_hints)
        async with asyncio.timeout(30):
            await pace.wait()
        connection.works = False
        connection.arrived.set()
        await until(lambda: "do not arrive" in caplog.text)
        assert not pace.has_hints
        connection.works = True
        await until(lambda: pace.has_hints)
        assert "arrive again" in caplog.text
        pace._poked.clear()
        connection.arrived.set()
        await until(pace._poked.is_set)
