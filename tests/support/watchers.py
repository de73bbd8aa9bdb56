"""Watchers by the thousand, which are cut off and resume, and write down all they see.

They speak raw HTTP/2: as many clients of grpc.aio would keep a test busy with themselves.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import grpc

from runsvc.client import AsyncRunClient, RunError
from runsvc.v1 import run_pb2
from runsvc.v1.run_service_pb2 import StreamStatusRequest, StreamStatusResponse
from tests.bench import http2
from tests.support.calls import CHANGED, call
from tests.support.server import client_of
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path
    from random import Random

    from tests.support.proxy import Proxy
    from tests.support.server import Process

METHOD: Final = "/runsvc.v1.RunService/StreamStatus"
#: Watchers of one connection.
STREAMS: Final = 1_000
THREADS: Final = 7
ASSISTANTS: Final = 2
#: Callers that change things meanwhile.
LANES: Final = 8

#: What the transport says of calls that it sheds, and of those that it had not handed on yet when the server stopped.
CANCELLED: Final = grpc.StatusCode.CANCELLED.value[0]
#: How the end of a stream is told that a client resumes after: the server was stopped, or is gone.
_RESUMABLE: Final = (http2.RESET, CANCELLED, grpc.StatusCode.UNAVAILABLE.value[0])


class Line:
    """A connection that is opened anew when it was lost."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: http2.Connection | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> http2.Connection:
        """The connection. OSError while there is no server."""
        async with self._opening:
            if self._connection is None or not self._connection.is_open:
                self._connection = await http2.Connection.open(self._address)
            return self._connection

    def drop(self) -> None:
        """Let go of it, and of everyone who is on it."""
        if self._connection is not None:
            self._connection.close()


class Watcher:
    """One who watches from the beginning of the store on, whatever happens to its streams."""

    def __init__(self, line: Line, **target: Any) -> None:
        self.target = target
        #: Revisions of the changes that it was sent, in the order of their coming.
        self.seen: list[int] = []
        #: The position to resume from.
        self.position = 0
        #: How often its stream has ended.
        self.cuts = 0
        #: The gRPC statuses that its streams have ended with.
        self.statuses: set[int] = set()
        self._line = line
        self._leave: Callable[[], None] | None = None
        self._leaving = False

    async def follow(self) -> None:
        """Watch, and watch again, until cancelled. AssertionError for an end that nobody resumes after."""
        while True:
            with suppress(OSError, http2.ConnectionLost):
                await self._watch()
            self.cuts += 1
            # Not all in the same moment, and not without a pause while there is no server.
            await asyncio.sleep(0.02 + hash(self) % 100 / 5_000)

    def leave(self) -> None:
        """End the present stream, if there is one."""
        if self._leave is not None:
            self._leaving = True
            self._leave()

    async def _watch(self) -> None:
        connection = await self._line.open()
        request = StreamStatusRequest(
            **self.target, after_revision=self.position, heartbeat_interval={"seconds": 1}
        )
        number, ended = connection.stream(METHOD, request.SerializeToString(), self._take)
        self._leave = lambda: connection.cancel(number)
        try:
            status = (await ended).status
        except asyncio.CancelledError:
            if not self._leaving:
                raise
        else:
            self.statuses.add(status)
            assert status in _RESUMABLE, f"a watch ended with gRPC status {status}"
        finally:
            connection.cancel(number)
            self._leave, self._leaving = None, False

    def _take(self, message: bytes) -> None:
        event = StreamStatusResponse.FromString(message)
        if event.event == CHANGED:
            self.seen.append(event.revision)
        if event.revision:
            self.position = event.revision


@asynccontextmanager
async def following(watchers: Sequence[Watcher]) -> AsyncIterator[None]:
    """Have all of them watch; what ends one of them ends the block."""
    async with asyncio.TaskGroup() as tasks:
        following = [tasks.create_task(watcher.follow()) for watcher in watchers]
        yield
        for each in following:
            each.cancel()


@dataclass
class Disturbance:
    """A server under load, its watchers, and all that can be done to them."""

    process: Process
    proxy: Proxy
    lines: Sequence[Line]
    watchers: Sequence[Watcher]
    chance: Random
    #: How often each was done.
    done: dict[str, int] = field(default_factory=dict)

    async def disturb(self) -> None:
        """Do one of them."""
        acts = {"leave": 6, "drop": 6, "cut": 4, "kill": 2, "stop": 1}
        # Each once before any is done at random.
        missing = [act for act in acts if act not in self.done]
        act = missing[0] if missing else self.chance.choices(list(acts), list(acts.values()))[0]
        self.done[act] = self.done.get(act, 0) + 1
        await getattr(self, f"_{act}")()

    async def _leave(self) -> None:
        for watcher in self.chance.sample(self.watchers, len(self.watchers) // 5):
            watcher.leave()

    async def _drop(self) -> None:
        self.chance.choice(self.lines).drop()

    async def _cut(self) -> None:
        self.proxy.cut()

    async def _kill(self) -> None:
        await self.process.kill()
        await self.process.start_again()

    async def _stop(self) -> None:
        assert await self.process.stop() == 0
        await self.process.start_again()


def spread(lines: Sequence[Line], count: int) -> list[Watcher]:
    """So many watchers, of every kind of target, over these connections."""
    targets: list[dict[str, Any]] = [
        {"all": {}},
        *({"all": {"assistant_id": f"a{number}"}} for number in range(ASSISTANTS)),
        *({"thread_id": f"t{number}"} for number in range(THREADS)),
    ]
    return [
        Watcher(lines[number % len(lines)], **targets[number % len(targets)])
        for number in range(count)
    ]


async def keep_changing(address: str, lane: int, stop: asyncio.Event) -> None:
    """Create runs and end them, each until it is done, until told to stop."""
    async with AsyncRunClient(address, token=None) as client:
        number = 0
        while not stop.is_set():
            number += 1
            spec = run_pb2.RunSpec(
                thread_id=f"t{number % THREADS}", assistant_id=f"a{number % ASSISTANTS}"
            )
            with suppress(RunError):
                run = (await client.create(spec, request_id=f"{lane}-{number}")).run
                await client.set_status(run.run_id, run_pb2.RUN_STATUS_SUCCESS)


async def live_through(disturbance: Disturbance, acts: int) -> None:
    """Disturb a busy server and its watchers so often, let it come to rest, and check what everyone saw."""
    process, watchers, stop = disturbance.process, disturbance.watchers, asyncio.Event()
    async with following(watchers):
        async with asyncio.TaskGroup() as load:
            for lane in range(LANES):
                load.create_task(keep_changing(process.address, lane, stop))
            for _ in range(acts):
                known = watchers[0].position
                # The first one watches everything.
                await until(lambda known=known: watchers[0].position > known + 20)  # type: ignore[misc]
                await disturbance.disturb()
            stop.set()
        async with client_of(process.address) as client:
            last = (await call(client, "GetServerInfo")).current_revision
        await until(lambda: all(watcher.position >= last for watcher in watchers), 120)
    assert await process.stop() == 0
    check(process.db, watchers)


def check(db: Path, watchers: Sequence[Watcher]) -> None:
    """Each saw every change of its target once and in order."""
    with closing(sqlite3.connect(db)) as file:
        log = file.execute("SELECT revision, thread_id, assistant_id FROM log ORDER BY revision")
        changes = log.fetchall()
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
