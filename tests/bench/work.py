"""The work: each operation as one call that a load repeats, on runs that were made ready for it."""

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

#: Calls in flight while runs are made ready.
_READYING: Final = 64
#: Runs, at most, that reads and reports of usage take turns on.
_TURNS: Final = 500
#: Reports of usage in a whole life.
REPORTS: Final = 10
#: Runs of the short list.
_FEW: Final = 10

_numbers = itertools.count()


def fresh_thread() -> str:
    """A thread that no run was on yet."""
    return f"thread-{next(_numbers)}"


class Stock:
    """Runs of one system that wait for work to be done on them."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.pending: list[str] = []
        self.running: list[str] = []
        self.finished: list[str] = []

    async def stock_pending(self, count: int) -> None:
        """See that so many runs are PENDING."""

        async def one() -> None:
            self.pending.append(await self.caller.create(fresh_thread()))

        await repeat(one, count - len(self.pending))

    async def stock_running(self, count: int) -> None:
        """See that so many runs are RUNNING."""

        async def one() -> None:
            run_id = await self.caller.create(fresh_thread())
            await self.caller.start(run_id)
            self.running.append(run_id)

        await repeat(one, count - len(self.running))

    async def stock_finished(self, count: int) -> None:
        """See that so many runs are SUCCESS."""

        async def one() -> None:
            run_id = await self.caller.create(fresh_thread())
            await self.caller.complete(run_id)
            self.finished.append(run_id)

        await repeat(one, count - len(self.finished))


class Operation(NamedTuple):
    """One kind of work."""

    name: str
    #: Makes what it needs ready for so many calls; the call to repeat. It raises Exhausted when all is used up.
    prepare: Callable[[Stock, int], Awaitable[Call]]


async def create(stock: Stock, _count: int) -> Call:
    return lambda: stock.caller.create(fresh_thread())


async def create_or_reject(stock: Stock, _count: int) -> Call:
    return lambda: stock.caller.create_or_reject(fresh_thread())


async def take_over(stock: Stock, _count: int) -> Call:
    thread_id = fresh_thread()
    return lambda: stock.caller.take_over(thread_id)


async def get_active(stock: Stock, count: int) -> Call:
    count = min(count, _TURNS)
    await stock.stock_pending(count)
    turns = itertools.cycle(stock.pending[:count])
    return lambda: stock.caller.get(next(turns))


async def get_finished(stock: Stock, count: int) -> Call:
    await stock.stock_finished(min(count, _TURNS))
    turns = itertools.cycle(stock.finished)
    return lambda: stock.caller.get(next(turns))


async def list_few(stock: Stock, _count: int) -> Call:
    thread_id = fresh_thread()
    for _ in range(_FEW):
        await stock.caller.create(thread_id)
    return lambda: stock.caller.list_by_thread(thread_id)


async def list_many(stock: Stock, _count: int) -> Call:
    return lambda: stock.caller.list_by_thread(BIG_THREAD)


async def set_status(stock: Stock, count: int) -> Call:
    await stock.stock_pending(count)

    async def call() -> None:
        run_id = _taken(stock.pending)
        await stock.caller.start(run_id)
        stock.running.append(run_id)

    return call


async def update_progress(stock: Stock, count: int) -> Call:
    count = min(count, _TURNS)
    await stock.stock_running(count)
    turns = itertools.cycle(stock.running[:count])
    tokens = itertools.count(1)
    return lambda: stock.caller.progress(next(turns), next(tokens))


async def complete(stock: Stock, count: int) -> Call:
    await stock.stock_running(count)
    return lambda: stock.caller.complete(_taken(stock.running))


async def cancel(stock: Stock, count: int) -> Call:
    await stock.stock_pending(count)
    return lambda: stock.caller.cancel(_taken(stock.pending))


async def life(stock: Stock, _count: int) -> Call:
    async def call() -> None:
        run_id = await stock.caller.create_or_reject(fresh_thread())
        await stock.caller.start(run_id)
        for tokens in range(REPORTS):
            await stock.caller.progress(run_id, tokens)
        await stock.caller.complete(run_id)

    return call


CREATE: Final = Operation("Create", create)
COMPLETE: Final = Operation("Complete", complete)
GET: Final = Operation("Get (active)", get_active)
CREATE_OR_REJECT: Final = Operation("CreateOrReject", create_or_reject)
LIST_MANY: Final = Operation("ListByThread (20 of many)", list_many)

#: What needs no store of many runs, in the order in which they leave runs for each other.
OPERATIONS: Final = (
    CREATE,
    CREATE_OR_REJECT,
    Operation("CreateOrReject (one thread)", take_over),
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
    """Call it so many times, by several callers at a time."""
    left = iter(range(times))

    async def lane() -> None:
        for _ in left:
            await one()

    await asyncio.gather(*(lane() for _ in range(_READYING)))


def _taken(runs: list[str]) -> str:
    if not runs:
        raise Exhausted
    return runs.pop()
