"""The cost of time limits: heartbeats of ten thousand leases, and runs with timeouts."""

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
from tests.bench.systems import GrpcCaller, Limit, Runsvc, connect, spec_of
from tests.bench.unary import failures_of
from tests.bench.work import COMPLETE, CREATE, new_thread, repeat
from tests.support.filling import fill_active

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.bench.load import Sample
    from tests.bench.plan import Plan
    from tests.bench.session import Session

#: Heartbeats per length of a lease.
_RENEWALS: Final = 3
_WORKER: Final = "worker"
_TIMEOUTS: Final = {"start_timeout": timedelta(days=1), "timeout": timedelta(days=1)}
_DAY: Final = Duration(seconds=86_400)


def steps(plan: Plan) -> int:
    """The number of progress steps of `terms`."""
    return 2 * plan.rounds + 2 * 2 * plan.rounds


async def terms(session: Session) -> list[Figure]:
    """Lease renewals against the limit, and runs with timeouts against runs without."""
    return [*await leases(session), *await timeouts(session)]


async def leases(session: Session) -> list[Figure]:
    """Heartbeats at the rate that the leases need. A round lasts until every lease has been renewed once."""
    plan, observer = session.plan, session.observer
    seconds = plan.lease_ttl / _RENEWALS
    async with session.comparison(Limit(), Runsvc(session.file())) as comparison:
        limit, ours = comparison.participants
        assert isinstance(ours.caller, GrpcCaller)
        assert isinstance(limit.caller, GrpcCaller)
        renew = _renewals(ours.caller, await _create_leases(ours.caller, plan))
        renewed = []
        for _ in range(plan.rounds):
            observer.step(f"{plan.leases:,} leases: runsvc")
            rate = plan.leases / seconds
            renewed.append(await open_loop(ours.system.server, renew, rate, seconds))
        kept = await _active(ours.caller) / plan.leases
        # The limit comes last, since leases would expire while it is measured.
        await _copy_answer(limit.system, ours.caller)
        bare = []
        for _ in range(plan.rounds):
            observer.step(f"{plan.leases:,} leases: limit")
            call = _renewals(limit.caller, [""])
            bare.append(await open_loop(limit.system.server, call, rate, comparison.seconds))
    work = f"{plan.leases:,} leases of {plan.lease_ttl:g} s, renewed every {seconds:.3g} s"
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
    """Create and Complete beside many active runs with timeouts; the reference is active runs without."""
    count = session.plan.active_runs
    free, limited = session.file(), session.file()
    for number, (db, timeouts) in enumerate(((free, {}), (limited, _TIMEOUTS))):
        session.observer.preparing(f"Stores with {count:,} active runs", number, 2)
        await asyncio.to_thread(fill_active, db, count, **timeouts)
    session.observer.preparing("", 2, 2)
    figures = []
    async with session.comparison(
        Runsvc(free, "runsvc, no timeouts"), RunsvcWithTimeouts(limited, "runsvc, timeouts")
    ) as comparison:
        for operation in (CREATE, COMPLETE):
            figures += await comparison.closed(
                operation._replace(name=f"{operation.name} beside {count:,} active")
            )
    return figures


class RunsvcWithTimeouts(Runsvc):
    """runsvc, with callers that create runs with timeouts."""

    async def connect(self) -> GrpcCaller:
        return CallerWithTimeouts(await connect(self.address))


class CallerWithTimeouts(GrpcCaller):
    """A caller that creates runs with timeouts."""

    async def create(self, thread_id: str) -> str:
        spec = spec_of(thread_id)
        spec.start_timeout.CopyFrom(_DAY)
        spec.timeout.CopyFrom(_DAY)
        answer = await self.call("Create", CreateRequest(spec=spec).SerializeToString())
        return CreateResponse.FromString(answer).run.run_id


async def _create_leases(caller: GrpcCaller, plan: Plan) -> list[str]:
    run_ids: list[str] = []

    async def one() -> None:
        spec = spec_of(new_thread())
        spec.worker_id = _WORKER
        spec.lease_ttl.FromTimedelta(timedelta(seconds=plan.lease_ttl))
        answer = await caller.call("Create", CreateRequest(spec=spec).SerializeToString())
        run_ids.append(CreateResponse.FromString(answer).run.run_id)

    await repeat(one, plan.leases)
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


async def _copy_answer(limit: object, caller: GrpcCaller) -> None:
    assert isinstance(limit, Limit)
    await limit.set_answers({"Heartbeat": caller.answers["Heartbeat"]})


def _shares(samples: list[Sample]) -> dict[str, Spread]:
    return {
        "share of a core": Spread.of(each.server_cpu / each.seconds for each in samples),
        "renewal, p50 ms": Spread.of(1e3 * each.percentile(0.5) for each in samples),
        "renewal, p99 ms": Spread.of(1e3 * each.percentile(0.99) for each in samples),
        "worst renewal ms": Spread.of(1e3 * each.percentile(1) for each in samples),
    }
