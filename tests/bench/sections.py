"""The parts of the benchmark that compare calls: what is measured against what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.bench.systems import PEERS, Limit, Runsvc, SeedDesign
from tests.bench.work import CREATE_OR_REJECT, GET, LIST_MANY, OPERATIONS

if TYPE_CHECKING:
    from tests.bench.figures import Figure
    from tests.bench.plan import Plan
    from tests.bench.session import Session
    from tests.bench.systems import System
    from tests.bench.work import Operation

_ALSO: Final = (CREATE_OR_REJECT, GET)
#: Runs of a page, and the one that shows that there are more.
_PAGE: Final = 21
#: Of all the work, what a short benchmark does on files of finished runs.
_TELLING: Final = (
    "CreateOrReject",
    "Get (active)",
    "Get (finished)",
    "SetStatus",
    "Complete",
    LIST_MANY.name,
)


async def unary(session: Session) -> list[Figure]:
    """Every kind of work against the limit."""
    figures = []
    async with session.contest(Limit(), *_with_peers(session)) as contest:
        for operation, in_flight in cases(session.plan):
            figures += await contest.closed(operation, in_flight)
    return figures


async def open_loop(session: Session) -> list[Figure]:
    """CreateOrReject at half of the limit's rate."""
    async with session.contest(Limit(), *_with_peers(session)) as contest:
        return await contest.open(CREATE_OR_REJECT)


async def mixed(session: Session) -> list[Figure]:
    """Get while 64 callers create."""
    async with session.contest(Limit(), *_with_peers(session)) as contest:
        return await contest.get_beside_creators()


async def long_thread(session: Session) -> list[Figure]:
    """The 20 newest runs of a thread that has 100,000."""
    db = await session.filled(session.plan.present, every=1)
    async with session.contest(Limit(), Runsvc(db)) as contest:
        return await contest.closed(LIST_MANY)


async def finished(session: Session) -> list[Figure]:
    """The same work on files with finished runs and on one that has no more than a page of them, the reference."""
    filled = [Runsvc(await session.filled(count), named(count)) for count in session.plan.finished]
    empty = Runsvc(await session.filled(_PAGE, every=1), "runsvc, empty")
    figures = []
    async with session.contest(empty, *filled) as contest:
        for operation, in_flight in telling(session.plan):
            figures += await contest.closed(operation, in_flight)
    return figures


async def seed(session: Session) -> list[Figure]:
    """The seed's design, the reference here, against runsvc."""
    figures = []
    async with session.contest(SeedDesign(session.file()), Runsvc(session.file())) as contest:
        figures += await contest.closed(CREATE_OR_REJECT)
        figures += await contest.get_beside_creators()
    present = session.plan.present
    async with session.contest(
        SeedDesign(session.file(), present=present), Runsvc(await session.filled(present))
    ) as contest:
        many = CREATE_OR_REJECT._replace(name=f"CreateOrReject, {present:,} present")
        figures += await contest.closed(many)
    return figures


def named(count: int) -> str:
    """What runsvc is called on a file with so many finished runs."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= size:
            return f"runsvc, {count // size}{unit}"
    return f"runsvc, {count}"


def cases(plan: Plan) -> list[tuple[Operation, int]]:
    """The work against the limit, and how many callers do it."""
    everything = [(operation, count) for count in plan.in_flight for operation in OPERATIONS]
    return [(operation, count) for count in plan.also_in_flight for operation in _ALSO] + everything


def telling(plan: Plan) -> list[tuple[Operation, int]]:
    """The work on files of finished runs, and how many callers do it."""
    every = [each for each in (*OPERATIONS, LIST_MANY) if plan.every_work or each.name in _TELLING]
    return [(operation, count) for count in plan.finished_in_flight for operation in every]


def _with_peers(session: Session) -> list[System]:
    systems: list[System] = [Runsvc(session.file())]
    if session.plan.peers:
        systems += [peer(session.file()) for peer in PEERS]
    return systems
