"""Thousands of watchers that lose their streams, resume, and record all events.

They use raw HTTP/2, because as many clients of grpc.aio would take all processor time of a test.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import grpc

from runsvc.client import AsyncRunClient, RunError
from runsvc.v1 import run_pb2
from runsvc.v1.run_service_pb2 import StreamStatusRequest, StreamStatusResponse
from tests.bench import http2
from tests.support.calls import CHANGED, call
from tests.support.engines import StorePlace, opened
from tests.support.server import client_of
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from random import Random

    from tests.support.engines import StorePlace
    from tests.support.proxy import Proxy
from tests.support.server import Process

METHOD: Final = "/runsvc.v1.RunService/StreamStatus"
#: Watchers per connection.
STREAMS: Final = 100
THREADS: Final = 7
ASSISTANTS: Final = 2
#: Callers that change runs at the same time.
CALLERS: Final = 8

#: Status of calls that the transport sheds, or had not yet passed to the server when it stopped.
CANCELLED: Final = grpc.StatusCode.CANCELLED.value[0]
#: Statuses after which a client resumes: the server has stopped or is unreachable.
_RESUMABLE: Final = (http2.RESET, CANCELLED, grpc.StatusCode.UNAVAILABLE.value[0])


class SharedConnection:
    """A connection that is reopened after it was lost."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: http2.Connection | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> http2.Connection:
        """Return the open connection. Raise OSError while there is no server."""
        async with self._opening:
            if self._connection is None or not self._connection.is_open:
                self._connection = await http2.Connection.open(self._address)
            return self._connection

    def drop(self) -> None:
        """Close the connection with all of its streams."""
        if self._connection is not None:
            self._connection.close()


class Watcher:
    """A watcher that records all changes since the store was created, resuming after each lost stream."""

    def __init__(self, connection: SharedConnection, **target: Any) -> None:
        self.target = target
        #: Revisions of the received changes, in their order.
        self.seen: list[int] = []
        #: The position to resume from.
        self.position = 0
        #: Number of streams that have ended.
        self.cuts = 0
        #: The gRPC statuses of ended streams.
        self.statuses: set[int] = set()
        self._connection = connection
        self._cancel_stream: Callable[[], None] | None = None
        self._is_leaving = False

    async def follow(self) -> None:
        """Watch and resume until cancelled. Raise AssertionError for a status after which clients do not resume."""
        while True:
            with suppress(OSError, http2.ConnectionLost):
                await self._watch()
            self.cuts += 1
            # Spread the reconnects, and pause while there is no server.
            await asyncio.sleep(0.02 + hash(self) % 100 / 5_000)

    def leave(self) -> None:
        """Cancel the current stream, if there is one."""
        if self._cancel_stream is not None:
            self._is_leaving = True
            self._cancel_stream()

    async def _watch(self) -> None:
        connection = await self._connection.open()
        request = StreamStatusRequest(
            **self.target, after_revision=self.position, heartbeat_interval={"seconds": 1}
        )
        number, ended = connection.stream(METHOD, request.SerializeToString(), self._take)
        self._cancel_stream = lambda: connection.cancel(number)
        try:
            status = (await ended).status
        except asyncio.CancelledError:
            if not self._is_leaving:
                raise
        else:
            self.statuses.add(status)
            assert status in _RESUMABLE, f"a watch ended with gRPC status {status}"
        finally:
            connection.cancel(number)
            self._cancel_stream, self._is_leaving = None, False

    def _take(self, message: bytes) -> None:
        event = StreamStatusResponse.FromString(message)
        if event.event == CHANGED:
            self.seen.append(event.revision)
        if event.revision:
            self.position = event.revision


@asynccontextmanager
async def following(watchers: Sequence[Watcher]) -> AsyncIterator[None]:
    """Have all watchers watch during the block; an error of one ends it."""
    async with asyncio.TaskGroup() as tasks:
        following = [tasks.create_task(watcher.follow()) for watcher in watchers]
        yield
        for each in following:
            each.cancel()


@dataclass
class Disturbance:
    """Random disturbances of a busy server and its watchers."""

    process: Process
    proxy: Proxy
    connections: Sequence[SharedConnection]
    watchers: Sequence[Watcher]
    chance: Random
    #: How often each disturbance was made.
    done: dict[str, int] = field(default_factory=dict)

    async def disturb(self) -> None:
        """Make one disturbance."""
        acts = {"leave": 6, "drop": 6, "cut": 4, "kill": 2, "stop": 1}
        # Make each once before choosing at random.
        missing = [act for act in acts if act not in self.done]
        act = missing[0] if missing else self.chance.choices(list(acts), list(acts.values()))[0]
        self.done[act] = self.done.get(act, 0) + 1
        await getattr(self, f"_{act}")()

    async def _leave(self) -> None:
        for watcher in self.chance.sample(self.watchers, len(self.watchers) // 5):
            watcher.leave()

    async def _drop(self) -> None:
        self.chance.choice(self.connections).drop()

    async def _cut(self) -> None:
        self.proxy.cut()

    async def _kill(self) -> None:
        await self.process.kill()
        await self.process.start_again()

    async def _stop(self) -> None:
        assert await self.process.stop() == 0
        await self.process.start_again()


def watchers_of_all_kinds(connections: Sequence[SharedConnection], count: int) -> list[Watcher]:
    """This many watchers over these connections, with every kind of target."""
    targets: list[dict[str, Any]] = [
        {"all": {}},
        *({"all": {"assistant_id": f"a{number}"}} for number in range(ASSISTANTS)),
        *({"thread_id": f"t{number}"} for number in range(THREADS)),
    ]
    return [
        Watcher(connections[number % len(connections)], **targets[number % len(targets)])
        for number in range(count)
    ]


async def keep_changing(address: str, caller: int, stop: asyncio.Event) -> None:
    """Create and end runs until `stop` is set."""
    async with AsyncRunClient(address, token=None) as client:
        number = 0
        while not stop.is_set():
            number += 1
            spec = run_pb2.RunSpec(
                thread_id=f"t{number % THREADS}", assistant_id=f"a{number % ASSISTANTS}"
            )
            with suppress(RunError):
                run = (await client.create(spec, request_id=f"{caller}-{number}")).run
                await client.set_status(run.run_id, run_pb2.RUN_STATUS_SUCCESS)


async def run_disturbed(disturbance: Disturbance, acts: int) -> None:
    """Make this many disturbances, wait for all watchers to catch up, and check the events of each."""
    process, watchers, stop = disturbance.process, disturbance.watchers, asyncio.Event()
    async with following(watchers):
        async with asyncio.TaskGroup() as load:
            for caller in range(CALLERS):
                load.create_task(keep_changing(process.address, caller, stop))
            for _ in range(acts):
                known = watchers[0].position
                # The first watcher watches all runs.
                await until(lambda known=known: watchers[0].position > known + 20)  # type: ignore[misc]
                await disturbance.disturb()
            stop.set()
        async with client_of(process.address) as client:
            last = (await call(client, "GetServerInfo")).current_revision
        await until(lambda: all(watcher.position >= last for watcher in watchers), 120)
    assert await process.stop() == 0
    check(process.db, watchers)


def check(db: StorePlace, watchers: Sequence[Watcher]) -> None:
    """Check that each watcher received every change of its target once and in order."""
    with opened(db) as run:
        changes = run("SELECT revision, thread_id, assistant_id FROM log ORDER BY revision")
    assert [revision for revision, _, _ in changes] == list(range(1, len(changes) + 1))
    for watcher in watchers:
        thread_id = watcher.target.get("thread_id")
        assistant_id = watcher.target.get("all", {}).get("assistant_id")
        expected = [
            revision
            for revision, thread, assistant in changes
            if thread_id in (None, thread) and assistant_id in (None, assistant)
        ]
        assert watcher.seen == expected, watcher.target
