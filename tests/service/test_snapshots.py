"""Many watches that take their snapshots at once do not hold up calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.v1 import run_service_pb2
from tests.bench.http2 import Connection
from tests.support.calls import call, created_on
from tests.support.engines import EVERY_ENGINE
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.server import Client

#: See conftest.
ENGINES = EVERY_ENGINE

WATCH = "/runsvc.v1.RunService/StreamStatus"
RUNS, WATCHES, CALLS = 300, 100, 20


async def test_calls_are_answered_while_many_watches_take_snapshots(client: Client) -> None:
    await created_on(client, (f"t{number}" for number in range(RUNS)))
    connection = await Connection.open(client.address)
    sent = 0

    def count(_: bytes) -> None:
        nonlocal sent
        sent += 1

    request = run_service_pb2.StreamStatusRequest(all={}).SerializeToString()
    for _ in range(WATCHES):
        connection.stream(WATCH, request, count)
    await until(lambda: sent)
    before = sent
    for _ in range(CALLS):
        await call(client, "HasInflight", thread_id="t1")
    # A call takes some twenty steps of the event loop. Each of them would wait for a step of every watch: 600 a call.
    assert (sent - before) / CALLS < 3 * WATCHES
    await until(lambda: sent == WATCHES * (RUNS + 1))
    connection.close()
