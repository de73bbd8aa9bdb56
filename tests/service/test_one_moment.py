"""Pages while runs displace each other: each page shows the thread before or after a call, never in between."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runsvc.v1 import run_service_pb2
from tests.support.calls import created_on
from tests.support.engines import EVERY_ENGINE
from tests.support.races import INTERRUPT, RUNNING, admitted

if TYPE_CHECKING:
    from tests.support.server import Client

#: See conftest.
ENGINES = EVERY_ENGINE


async def active_runs(client: Client, page_size: int) -> int:
    request = run_service_pb2.ListByThreadRequest(thread_id="t", page_size=page_size)
    page = await client.runs.ListByThread(request)
    return sum(run.status <= RUNNING for run in page.runs)


async def test_every_page_of_a_thread_with_one_active_run_shows_it(client: Client) -> None:
    await admitted(client, "t", INTERRUPT)

    async def displace() -> None:
        for _ in range(150):
            await admitted(client, "t", INTERRUPT)

    displacing = asyncio.create_task(displace())
    counts: list[int] = []

    async def read() -> None:
        while not displacing.done():
            counts.append(await active_runs(client, 20))

    await asyncio.gather(displacing, read(), read(), read())
    assert set(counts) == {1}


async def test_a_page_shows_all_or_none_of_the_runs_that_one_call_displaces(
    client: Client,
) -> None:
    for _ in range(3):
        await created_on(client, ["t"] * 299)
        before = await active_runs(client, 400)
        pages = [asyncio.create_task(active_runs(client, 400)) for _ in range(4)]
        await admitted(client, "t", INTERRUPT)
        assert {await page for page in pages} <= {before, 1}
        assert await active_runs(client, 400) == 1
