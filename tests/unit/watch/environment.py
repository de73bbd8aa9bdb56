"""The environment of the watch tests: a store, its hub, clocks, and watches on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from runsvc.commit.writer import Writer
from runsvc.core import lifecycle
from runsvc.maintenance.attachments import Attachments
from runsvc.maintenance.lease_clock import LeaseClock
from runsvc.store.values import LogEntry, Record
from runsvc.watch.event import Event, StatusEvent
from runsvc.watch.hub import StatusHub
from runsvc.watch.stream import Watches, WatchRequest, WatchTuning
from tests.conformance.driver import CODEC, RUNNING, Driver
from tests.support.machine import Machine

if TYPE_CHECKING:
    from runsvc.core.model import Run
    from runsvc.store.memory import MemoryStore
    from runsvc.store.values import Topic

SNAPSHOT, SNAPSHOT_END, CHANGED, PROGRESS, HEARTBEAT, DELETED = StatusEvent

Stream = AsyncGenerator[Event, None]


class Environment:
    """Everything that a watch needs, on a machine with clocks that the test sets."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.machine = Machine()
        timekeeper = self.machine.timekeeper()
        store.writing._timekeeper = timekeeper
        self.driver = Driver(store)
        self.lease_clock = LeaseClock(timekeeper, timedelta(seconds=0.25))
        self.use_hub(StatusHub(store.reading))
        self.writer = Writer(self.driver.group, lambda committed: self.hub.publish(committed))
        self.attachments = Attachments(self.writer, self.lease_clock, timekeeper)
        self.tuning = WatchTuning()

    @property
    def watches(self) -> Watches:
        return Watches(
            self.store.reading, self.hub, CODEC, self.lease_clock, self.attachments, self.tuning
        )

    def use_hub(self, hub: StatusHub) -> None:
        """Publish commits to this hub from now on."""
        self.hub = hub
        self.driver.listeners = [hub.publish]

    def beat(self, seconds: float = 0) -> None:
        """Let time pass with the server in service all the time."""
        for _ in range(round(seconds / 0.25) or 1):
            self.machine.go_on(min(seconds, 0.25))
            now = self.store.writing.begin()
            self.lease_clock.record_beat(self.lease_clock.read(now.time))

    def open(self, topic: Topic, **fields: Any) -> aclosing[Stream]:
        """A watch, closed at the end of the block."""
        return aclosing(_events(self.watches, WatchRequest(topic=topic, **fields)))

    async def all_of(self, topic: Topic, **fields: Any) -> list[Event]:
        """All events of a watch that ends by itself."""
        async with asyncio.timeout(30), self.open(topic, **fields) as stream:
            return [event async for event in stream]

    async def fail(self, topic: Topic, **fields: Any) -> None:
        """Open a watch that raises instead of its first event."""
        async with asyncio.timeout(30), self.open(topic, **fields) as stream:
            await anext(stream)

    def cancelled_run(self) -> Run:
        """A cancelled run with a holder, which renewed its lease of ten seconds just before."""
        run = self.driver.create(worker_id="w", lease_ttl=timedelta(seconds=10))
        start = partial(lifecycle.report, to=RUNNING, worker_id="w")
        run = self.driver.change(run, lambda run, at: lifecycle.renew(start(run, at=at), at))
        return self.driver.cancel(run)


async def _events(watches: Watches, request: WatchRequest) -> Stream:
    with watches.open(request) as watch:
        await watch.begin()
        while not watch.over:
            for event in await watch.proceed():
                yield event


async def take(stream: Stream, count: int) -> list[Event]:
    """The next events."""
    async with asyncio.timeout(30):
        return [await anext(stream) for _ in range(count)]


async def is_over(stream: Stream) -> bool:
    """Whether the stream ends without a further event."""
    async with asyncio.timeout(30):
        return await anext(stream, None) is None


def positions(events: list[Event]) -> list[tuple[StatusEvent, int]]:
    return [(event.event, event.revision) for event in events]


def subject(event: Event) -> Record | LogEntry:
    assert event.subject is not None
    return event.subject


def entry_of(event: Event) -> LogEntry:
    assert isinstance(event.subject, LogEntry)
    return event.subject


def tokens_of(event: Event) -> int | None:
    """The progress in an event."""
    assert isinstance(event.subject, Record)
    progress = CODEC.decode(event.subject).progress
    return None if progress is None else progress.total_tokens


def run_ids(events: list[Event]) -> list[str]:
    return [subject(event).run_id for event in events]
