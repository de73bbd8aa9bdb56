"""The sections that compare calls: the systems and the operations of each."""

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

_FEW_CALLERS: Final = (CREATE_OR_REJECT, GET)
#: The runs of a page, and one more, so that the page has a successor.
_PAGE: Final = 21
#: The operations that a short benchmark measures on files of finished runs.
_SHORT_SELECTION: Final = (
    "CreateOrReject",
    "Get (active)",
    "Get (finished)",
    "SetStatus",
    "Complete",
    LIST_MANY.name,
)


async def unary(session: Session) -> list[Figure]:
    """Every operation against the limit."""
    figures = []
    async with session.comparison(Limit(), *_with_peers(session)) as comparison:
        for operation, in_flight in unary_cases(session.plan):
            figures += await comparison.closed(operation, in_flight)
    return figures


async def open_loop(session: Session) -> list[Figure]:
    """CreateOrReject at half of the limit's rate."""
    async with session.comparison(Limit(), *_with_peers(session)) as comparison:
        return await comparison.open(CREATE_OR_REJECT)


async def mixed(session: Session) -> list[Figure]:
    """Get while 64 callers create."""
    async with session.comparison(Limit(), *_with_peers(session)) as comparison:
        return await comparison.get_beside_creators()


async def long_thread(session: Session) -> list[Figure]:
    """The 20 newest runs of a thread that has 100,000."""
    db = await session.filled(session.plan.present_runs, every=1)
    async with session.comparison(Limit(), Runsvc(db)) as comparison:
        return await comparison.closed(LIST_MANY)


async def finished(session: Session) -> list[Figure]:
    """The operations on files of finished runs; the reference is a file with a single page of them."""
    filled = [
        Runsvc(await session.filled(count), name_with_runs(count))
        for count in session.plan.finished
    ]
    empty = Runsvc(await session.filled(_PAGE, every=1), "runsvc, empty")
    figures = []
    async with session.comparison(empty, *filled) as comparison:
        for operation, in_flight in finished_cases(session.plan):
            figures += await comparison.closed(operation, in_flight)
    return figures


async def seed(session: Session) -> list[Figure]:
    """runsvc against the seed's design, the reference."""
    figures = []
    async with session.comparison(SeedDesign(session.file()), Runsvc(session.file())) as comparison:
        figures += await comparison.closed(CREATE_OR_REJECT)
        figures += await comparison.get_beside_creators()
    present = session.plan.present_runs
    async with session.comparison(
        SeedDesign(session.file(), present=present), Runsvc(await session.filled(present))
    ) as comparison:
        many = CREATE_OR_REJECT._replace(name=f"CreateOrReject, {present:,} present")
        figures += await comparison.closed(many)
    return figures


def name_with_runs(count: int) -> str:
    """The name of runsvc on a file with this many finished runs, such as "runsvc, 100k"."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= size:
            return f"runsvc, {count // size}{unit}"
    return f"runsvc, {count}"


def unary_cases(plan: Plan) -> list[tuple[Operation, int]]:
    """The operations against the limit, with their numbers of callers."""
    everything = [(operation, count) for count in plan.in_flight for operation in OPERATIONS]
    return [
        (operation, count) for count in plan.extra_in_flight for operation in _FEW_CALLERS
    ] + everything


def finished_cases(plan: Plan) -> list[tuple[Operation, int]]:
    """The operations on files of finished runs, with their numbers of callers."""
    every = [
        each
        for each in (*OPERATIONS, LIST_MANY)
        if plan.all_operations or each.name in _SHORT_SELECTION
    ]
    return [(operation, count) for count in plan.finished_in_flight for operation in every]


def _with_peers(session: Session) -> list[System]:
    systems: list[System] = [Runsvc(session.file())]
    if session.plan.peers:
        systems += [peer(session.file()) for peer in PEERS]
    return systems
