"""The operations: each is one call that a load repeats, on runs prepared for it."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.bench.load import Exhausted
from tests.support.filling import BIG_THREAD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.bench.systems import Caller

    Call = Callable[[], Awaitable[object]]

#: Concurrent calls while runs are prepared.
_PREPARING: Final = 64
#: The most runs that reads and progress reports cycle through.
_CYCLED: Final = 500
#: Progress reports in a whole life.
REPORTS: Final = 10
#: Runs of the short thread.
_FEW: Final = 10

_numbers = itertools.count()


def new_thread() -> str:
    """The id of a thread without runs."""
    return f"thread-{next(_numbers)}"


class PreparedRuns:
    """Runs of one system that operations can use."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.pending: list[str] = []
        self.running: list[str] = []
        self.finished: list[str] = []

    async def prepare_pending(self, count: int) -> None:
        """Create runs until this many are PENDING."""

        async def one() -> None:
            self.pending.append(await self.caller.create(new_thread()))

        await repeat(one, count - len(self.pending))

    async def prepare_running(self, count: int) -> None:
        """Create runs until this many are RUNNING."""

        async def one() -> None:
            run_id = await self.caller.create(new_thread())
            await self.caller.start(run_id)
            self.running.append(run_id)

        await repeat(one, count - len(self.running))

    async def prepare_finished(self, count: int) -> None:
        """Create runs until this many are SUCCESS."""

        async def one() -> None:
            run_id = await self.caller.create(new_thread())
            await self.caller.complete(run_id)
            self.finished.append(run_id)

        await repeat(one, count - len(self.finished))


class Operation(NamedTuple):
    """One kind of call."""

    name: str
    #: Prepares runs for this many calls. Returns the call to repeat, which raises Exhausted when the runs are used up.
    prepare: Callable[[PreparedRuns, int], Awaitable[Call]]


async def create(runs: PreparedRuns, _count: int) -> Call:
    return lambda: runs.caller.create(new_thread())


async def create_or_reject(runs: PreparedRuns, _count: int) -> Call:
    return lambda: runs.caller.create_or_reject(new_thread())


async def create_or_interrupt(runs: PreparedRuns, _count: int) -> Call:
    thread_id = new_thread()
    return lambda: runs.caller.create_or_interrupt(thread_id)


async def get_active(runs: PreparedRuns, count: int) -> Call:
    count = min(count, _CYCLED)
    await runs.prepare_pending(count)
    turns = itertools.cycle(runs.pending[:count])
    return lambda: runs.caller.get(next(turns))


async def get_finished(runs: PreparedRuns, count: int) -> Call:
    await runs.prepare_finished(min(count, _CYCLED))
    turns = itertools.cycle(runs.finished)
    return lambda: runs.caller.get(next(turns))


async def list_few(runs: PreparedRuns, _count: int) -> Call:
    thread_id = new_thread()
    for _ in range(_FEW):
        await runs.caller.create(thread_id)
    return lambda: runs.caller.list_by_thread(thread_id)


async def list_many(runs: PreparedRuns, _count: int) -> Call:
    return lambda: runs.caller.list_by_thread(BIG_THREAD)


async def set_status(runs: PreparedRuns, count: int) -> Call:
    await runs.prepare_pending(count)

    async def call() -> None:
        run_id = _taken(runs.pending)
        await runs.caller.start(run_id)
        runs.running.append(run_id)

    return call


async def update_progress(runs: PreparedRuns, count: int) -> Call:
    count = min(count, _CYCLED)
    await runs.prepare_running(count)
    turns = itertools.cycle(runs.running[:count])
    tokens = itertools.count(1)
    return lambda: runs.caller.progress(next(turns), next(tokens))


async def complete(runs: PreparedRuns, count: int) -> Call:
    await runs.prepare_running(count)
    return lambda: runs.caller.complete(_taken(runs.running))


async def cancel(runs: PreparedRuns, count: int) -> Call:
    await runs.prepare_pending(count)
    return lambda: runs.caller.cancel(_taken(runs.pending))


async def life(runs: PreparedRuns, _count: int) -> Call:
    async def call() -> None:
        run_id = await runs.caller.create_or_reject(new_thread())
        await runs.caller.start(run_id)
        for tokens in range(REPORTS):
            await runs.caller.progress(run_id, tokens)
        await runs.caller.complete(run_id)

    return call


CREATE: Final = Operation("Create", create)
COMPLETE: Final = Operation("Complete", complete)
GET: Final = Operation("Get (active)", get_active)
CREATE_OR_REJECT: Final = Operation("CreateOrReject", create_or_reject)
LIST_MANY: Final = Operation("ListByThread (20 of many)", list_many)

#: The operations that need no store of many runs, ordered so that each leaves runs for the next.
OPERATIONS: Final = (
    CREATE,
    CREATE_OR_REJECT,
    Operation("CreateOrReject (one thread)", create_or_interrupt),
    GET,
    Operation("Get (finished)", get_finished),
    Operation("ListByThread (of 10)", list_few),
    Operation("SetStatus", set_status),
    Operation("UpdateProgress", update_progress),
    COMPLETE,
    Operation("Cancel", cancel),
    Operation("whole life", life),
)


async def repeat(one: Callable[[], Awaitable[object]], times: int) -> None:
    """Call it this many times, with several callers at a time."""
    left = iter(range(times))

    async def caller() -> None:
        for _ in left:
            await one()

    await asyncio.gather(*(caller() for _ in range(_PREPARING)))


def _taken(runs: list[str]) -> str:
    if not runs:
        raise Exhausted
    return runs.pop()
