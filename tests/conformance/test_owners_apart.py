"""Two owners under random load: whatever one of them does, the other gets the same answers as if it were alone.

Both use the same ids of threads, assistants and requests, at the same time and often in one batch. Every answer,
refusal and event of one owner is compared with those of the same calls on a store without the other owner.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from runsvc.commit.group_commit import GroupCommit
from runsvc.commit.writer import Writer
from runsvc.core.errors import RunsvcError
from runsvc.core.model import (
    CancelAction,
    MultitaskStrategy,
    Progress,
    Report,
    Request,
    RequestKey,
    Run,
    RunSpec,
    RunStatus,
)
from runsvc.store.values import Record, Topic, TopicKind
from runsvc.usecases.manager import RunManager
from runsvc.watch.hub import StatusHub
from tests.conformance.conftest import CASES
from tests.conformance.driver import CODEC

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from runsvc.store.base import Store
    from runsvc.store.values import LogEntry
    from runsvc.watch.cursor import Cursor
    from tests.conformance.conftest import StoreCase

OWNERS: Final = ("mine", "yours")
THREADS: Final = ("t", "u")
STEPS: Final = 120
STRATEGIES: Final = (
    MultitaskStrategy.REJECT,
    MultitaskStrategy.INTERRUPT,
    MultitaskStrategy.ROLLBACK,
)


class World:
    """A store with its writer, its use-cases and its hub."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.hub = StatusHub(store.reading)
        self.writer = Writer(GroupCommit(store.writing, CODEC), self.hub.publish)
        self.manager = RunManager(
            self.writer,
            store.reading,
            CODEC,
            max_active_per_thread=3,
            max_active_per_owner=3,
        )
        #: Ids of all runs, by owner, in the order of their creation.
        self.run_ids: dict[str, list[str]] = {owner: [] for owner in OWNERS}


@asynccontextmanager
async def world_of(case: StoreCase, place: Path | str) -> AsyncIterator[World]:
    store = case.make(place)
    await store.open()
    world = World(store)
    await world.hub.start()
    yield world
    await world.writer.close()
    await store.close()


class Owner:
    """One owner: makes random calls, and notes every answer by names that do not depend on other owners."""

    def __init__(self, world: World, name: str, seed: int) -> None:
        self.name = name
        self.answers: list[Any] = []
        self._world = world
        self._choice = random.Random(seed)
        self._cursors = [
            world.hub.open(topic)
            for topic in (
                Topic(TopicKind.ALL, name),
                Topic(TopicKind.ASSISTANT, name, "a"),
                *(Topic(TopicKind.THREAD, name, thread) for thread in THREADS),
            )
        ]

    async def step(self) -> None:
        """Make one call, and read what the watches of this owner have got."""
        name = self._choice.choice(
            ("create", "create", "admit", "admit", "report", "cancel", "read")
        )
        try:
            answer = await getattr(self, f"_{name}")()
        except RunsvcError as error:
            # A refusal may name a run, which must be one of this owner.
            answer = (type(error).__name__, self._short(str(error)))
        self.answers.append((name, answer))
        self.answers.append([await self._events(cursor) for cursor in self._cursors])

    async def finish(self) -> None:
        """Note everything that the store shows to this owner in the end."""
        reading = self._world.store.reading
        for topic in (Topic(TopicKind.ALL, self.name), Topic(TopicKind.ASSISTANT, self.name, "a")):
            states = (await reading.snapshot(topic)).states
            self.answers.append([self._number(state.run_id) for state in states])
            entries = (await reading.log_since(topic, 0, 10_000)).entries
            self.answers.append(list(map(self._event, entries)))

    # Calls.

    async def _create(self) -> Any:
        spec, request = self._spec(), self._request("Create")
        created = await self._world.manager.create(self.name, spec, request)
        return self._note(created.run, created.replayed)

    async def _admit(self) -> Any:
        spec, request = self._spec(), self._request("CreateOrReject")
        created = await self._world.manager.create_or_reject(self.name, spec, request)
        answer = self._note(created.run, created.replayed)
        return answer, [self._seen(run) for run in created.superseded]

    async def _report(self) -> Any:
        run_id, status = self._run_id(), self._choice.choice(list(RunStatus)[1:])
        report = Report(progress=Progress(total_tokens=self._choice.randrange(9)))
        reported = await self._world.manager.report_status(self.name, run_id, status, report)
        return self._seen(reported.run), reported.changed

    async def _cancel(self) -> Any:
        run_id = self._run_id()
        run, outcome = await self._world.manager.cancel(
            self.name, run_id, CancelAction.INTERRUPT, None
        )
        return self._seen(run), outcome

    async def _read(self) -> Any:
        thread_id = self._choice.choice(THREADS)
        inflight = await self._world.manager.has_inflight(self.name, thread_id)
        page = await self._world.manager.list_by_thread(
            self.name, thread_id, statuses=frozenset(), after=None, page_size=5
        )
        read = await self._world.manager.get(self.name, self._run_id())
        return (
            [list(map(self._number, each)) for each in inflight],
            list(map(self._seen, page.records)),
            self._seen(read),
        )

    # Arguments.

    def _spec(self) -> RunSpec:
        choose = self._choice.choice
        return RunSpec(
            thread_id=choose(THREADS),
            assistant_id=choose(("a", None)),
            multitask_strategy=choose(STRATEGIES),
        )

    def _request(self, method: str) -> Request | None:
        number = self._choice.randrange(12)
        if number > 6:
            return None
        key = RequestKey(self.name, method, f"q-{number}")
        return Request(key, self._choice.choice((b"same", b"same", b"other")))

    def _run_id(self) -> str:
        """A run of this owner, or sometimes one of the other owner, or none if there is no other."""
        own, kind = self._world.run_ids[self.name], self._choice.randrange(4)
        index = self._choice.randrange(1_000)
        others = [
            each for name in OWNERS if name != self.name for each in self._world.run_ids[name]
        ]
        if kind == 0 or not own:
            return others[index % len(others)] if others else "unknown"
        return own[-1 - index % min(len(own), 8)]

    # Answers.

    def _note(self, run: Run, replayed: bool) -> Any:
        if not replayed:
            self._world.run_ids[self.name].append(run.run_id)
        return self._seen(run), replayed

    def _number(self, run_id: str) -> int:
        """The place of a run among those of this owner. Another run is a failure of the test."""
        return self._world.run_ids[self.name].index(run_id)

    def _seen(self, run: Run | Record) -> Any:
        assert run.owner == self.name
        return self._number(run.run_id), run.thread_id, run.status

    def _event(self, entry: LogEntry) -> Any:
        assert entry.owner == self.name
        return self._number(entry.run_id), entry.status, entry.previous_status

    async def _events(self, cursor: Cursor) -> list[Any]:
        found = []
        while events := await cursor.read():
            for event in events:
                assert event.subject is not None
                assert not isinstance(event.subject, Record)
                found.append((self._event(event.subject), event.more))
        return found

    def _short(self, text: str) -> str:
        for run_id in self._world.run_ids[self.name]:
            text = text.replace(run_id, f"run {self._number(run_id)}")
        # An id that is not of this owner is one that the call itself named.
        for run_id in (each for name in OWNERS for each in self._world.run_ids[name]):
            text = text.replace(run_id, "unknown")
        return text


async def answers_of(
    case: StoreCase, place: Path | str, names: Sequence[str], seed: int
) -> dict[str, Any]:
    """The answers of owners that make their calls at the same time."""
    async with world_of(case, place) as world:
        owners = [Owner(world, name, seed + OWNERS.index(name)) for name in names]
        for _ in range(STEPS):
            await asyncio.gather(*(owner.step() for owner in owners))
        for owner in owners:
            await owner.finish()
        return {owner.name: owner.answers for owner in owners}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("seed", range(0, 40, 10))
async def test_an_owner_gets_the_same_answers_as_if_it_were_alone(
    case: StoreCase, places: Callable[[], Path | str], seed: int
) -> None:
    together = await answers_of(case, places(), OWNERS, seed)
    for name in OWNERS:
        alone = await answers_of(case, places(), (name,), seed)
        # One by one: the difference of two long lists takes minutes to print.
        for got, wanted in zip(together[name], alone[name], strict=True):
            assert got == wanted
    refused = {
        answer[0]
        for name, answer in (each for each in together["mine"] if isinstance(each, tuple))
        if isinstance(answer, tuple) and isinstance(answer[0], str)
    }
    # The load reaches every kind of refusal that another owner could cause.
    assert {"RunNotFound", "ThreadBusy", "RequestIdReused", "OwnerFull"} <= refused
