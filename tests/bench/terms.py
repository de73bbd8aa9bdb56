"""What leases and timeouts cost: ten thousand workers that give signs of life, and runs whose time is limited."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from google.protobuf.duration_pb2 import Duration

from runsvc.v1 import admin_service_pb2
from runsvc.v1.run_service_pb2 import CreateRequest, CreateResponse, HeartbeatRequest
from tests.bench.figures import Figure, Spread
from tests.bench.load import open_loop
from tests.bench.systems import GrpcCaller, Limit, Runsvc, connected, spec_of
from tests.bench.unary import failures_of
from tests.bench.work import COMPLETE, CREATE, fresh_thread, repeat
from tests.support.filling import fill_active

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.bench.load import Sample
    from tests.bench.plan import Plan
    from tests.bench.session import Session

#: A worker gives so many signs of life within the length of its lease.
_SIGNS: Final = 3
_WORKER: Final = "worker"
_LIMITS: Final = {"start_timeout": timedelta(days=1), "timeout": timedelta(days=1)}
_DAY: Final = Duration(seconds=86_400)


def steps(plan: Plan) -> int:
    """How often both say what they measure."""
    return 2 * plan.rounds + 2 * 2 * plan.rounds


async def terms(session: Session) -> list[Figure]:
    """Renewals of leases against the limit's calls, and limited runs against those that are not."""
    return [*await leases(session), *await timeouts(session)]


async def leases(session: Session) -> list[Figure]:
    """As many signs of life as that many leases need, each round for as long as it takes all of them to give one."""
    plan, watcher = session.plan, session.watcher
    seconds = plan.lease_ttl / _SIGNS
    async with session.contest(Limit(), Runsvc(session.file())) as contest:
        limit, ours = contest.everyone
        assert isinstance(ours.caller, GrpcCaller)
        assert isinstance(limit.caller, GrpcCaller)
        renew = _renewals(ours.caller, await _leased(ours.caller, plan))
        renewed = []
        for _ in range(plan.rounds):
            watcher.step(f"{plan.leased:,} leases: runsvc")
            rate = plan.leased / seconds
            renewed.append(await open_loop(ours.system.server, renew, rate, seconds))
        kept = await _active(ours.caller) / plan.leased
        # Only now, for no lease waits while the limit is measured.
        await _taught(limit.system, ours.caller)
        bare = []
        for _ in range(plan.rounds):
            watcher.step(f"{plan.leased:,} leases: limit")
            call = _renewals(limit.caller, [""])
            bare.append(await open_loop(limit.system.server, call, rate, contest.seconds))
    work = f"{plan.leased:,} leases of {plan.lease_ttl:g} s, renewed every {seconds:.3g} s"
    return [
        Figure(session.section, work, "limit", values=_shares(bare), failures=failures_of(bare)),
        Figure(
            session.section,
            work,
            "runsvc",
            values=_shares(renewed) | {"share of leases kept": Spread.of([kept])},
            failures=failures_of(renewed),
        ),
    ]


async def timeouts(session: Session) -> list[Figure]:
    """The same work beside very many active runs that have no timeouts, the reference, and that have them."""
    count = session.plan.timed
    free, limited = session.file(), session.file()
    for number, (db, limits) in enumerate(((free, {}), (limited, _LIMITS))):
        session.watcher.making(f"Stores with {count:,} active runs", number, 2)
        await asyncio.to_thread(fill_active, db, count, **limits)
    session.watcher.making("", 2, 2)
    figures = []
    async with session.contest(
        Runsvc(free, "runsvc, no timeouts"), Limited(limited, "runsvc, timeouts")
    ) as contest:
        for operation in (CREATE, COMPLETE):
            figures += await contest.closed(
                operation._replace(name=f"{operation.name} beside {count:,} active")
            )
    return figures


class Limited(Runsvc):
    """runsvc, asked for runs whose time is limited."""

    async def connect(self) -> GrpcCaller:
        return LimitedCaller(await connected(self.address))


class LimitedCaller(GrpcCaller):
    """Creates runs with timeouts."""

    async def create(self, thread_id: str) -> str:
        spec = spec_of(thread_id)
        spec.start_timeout.CopyFrom(_DAY)
        spec.timeout.CopyFrom(_DAY)
        answer = await self.call("Create", CreateRequest(spec=spec).SerializeToString())
        return CreateResponse.FromString(answer).run.run_id


async def _leased(caller: GrpcCaller, plan: Plan) -> list[str]:
    run_ids: list[str] = []

    async def one() -> None:
        spec = spec_of(fresh_thread())
        spec.worker_id = _WORKER
        spec.lease_ttl.FromTimedelta(timedelta(seconds=plan.lease_ttl))
        answer = await caller.call("Create", CreateRequest(spec=spec).SerializeToString())
        run_ids.append(CreateResponse.FromString(answer).run.run_id)

    await repeat(one, plan.leased)
    return run_ids


def _renewals(caller: GrpcCaller, run_ids: list[str]) -> Callable[[], Awaitable[object]]:
    requests = itertools.cycle(
        HeartbeatRequest(run_id=run_id, worker_id=_WORKER).SerializeToString() for run_id in run_ids
    )
    return lambda: caller.call("Heartbeat", next(requests))


async def _active(caller: GrpcCaller) -> int:
    status, answer = await caller.connections[0].unary("/runsvc.v1.AdminService/GetServerInfo", b"")
    assert status == 0
    return admin_service_pb2.GetServerInfoResponse.FromString(answer).active_runs


async def _taught(limit: object, caller: GrpcCaller) -> None:
    assert isinstance(limit, Limit)
    await limit.learn({"Heartbeat": caller.answers["Heartbeat"]})


def _shares(samples: list[Sample]) -> dict[str, Spread]:
    return {
        "share of a core": Spread.of(each.server_cpu / each.seconds for each in samples),
        "renewal, p50 ms": Spread.of(1e3 * each.percentile(0.5) for each in samples),
        "renewal, p99 ms": Spread.of(1e3 * each.percentile(0.99) for each in samples),
        "worst renewal ms": Spread.of(1e3 * each.percentile(1) for each in samples),
    }
