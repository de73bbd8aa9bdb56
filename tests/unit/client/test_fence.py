"""The fence of an execution: work stops when its lease may be over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from runsvc.client import AsyncRunClient
from runsvc.client.fence import Fence, now
from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_pb2 import Progress, RunStatus
from tests.support.scripted import Refusal
from tests.support.waiting import PATIENCE, until
from tests.support.workers import Work, working
from tests.unit.client.test_execution import GONE, PENDING, RUNNING, requests, run, started_script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.scripted import Script

BEATING = pb.HeartbeatResponse(run=RUNNING)
ENDED = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "no", "INVALID_TRANSITION", {"from": "ERROR"})


class Interceptor(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc,unused-ignore]
    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(details, request)


@pytest.fixture(params=["plain", "intercepted"])
async def client(request: pytest.FixtureRequest, kind: Any, target: str) -> AsyncIterator[Any]:
    """A client of the scripted server. The heartbeats of the second come from the event loop."""
    is_async = kind is AsyncRunClient
    if request.param == "intercepted" and not is_async:
        pytest.skip("heartbeats of threads are always sent from a thread")
    interceptors = [Interceptor()] if request.param == "intercepted" else []
    client = kind(target, token=None, timeout=PATIENCE, interceptors=interceptors)
    yield client
    await client.close() if is_async else client.close()


async def test_work_without_confirmed_renewal_is_stopped(client: Any, script: Script) -> None:
    started_script(script, RUNNING).will("Heartbeat", *[GONE] * 1_000)
    script.will("Complete", GONE, pb.CompleteResponse(run=run("ERROR", 3)))
    work = Work(PENDING, lease_ttl=0.1, fence=True)
    await working(client, work)
    assert (work.stopped, work.went_on, work.execution.fenced) == (True, True, True)
    assert (work.execution.cancelled, work.execution.lost) == (False, False)
    last = requests(script, pb.CompleteRequest)[-1]
    assert last.status == RunStatus.RUN_STATUS_ERROR
    assert last.error == "The executor stopped: no renewal of its lease was confirmed in time."


async def test_fenced_run_that_has_ended_is_lost(client: Any, script: Script) -> None:
    started_script(script, RUNNING).will("Heartbeat", *[GONE] * 1_000)
    script.will("Complete", ENDED)
    work = Work(PENDING, lease_ttl=0.1, fence=True)
    await working(client, work)
    assert (work.went_on, work.execution.fenced, work.execution.lost) == (True, True, True)


async def test_confirmed_renewals_keep_the_work(client: Any, script: Script) -> None:
    started_script(script, RUNNING).will("Heartbeat", *[BEATING] * 1_000)
    script.will("Complete", pb.CompleteResponse(run=run("SUCCESS", 3)))
    work = Work(PENDING, lease_ttl=3, fence=True)
    executing = working(client, work)
    # Four heartbeats take longer than the lease.
    await until(lambda: len(requests(script, pb.HeartbeatRequest)) > 3 or executing.done())
    work.end.set()
    await executing
    assert (work.stopped, work.execution.fenced) == (False, False)


async def test_fence_without_a_lease_has_no_effect(client: Any, script: Script) -> None:
    started_script(script, RUNNING)
    script.will("Complete", pb.CompleteResponse(run=run("SUCCESS", 3)))
    work = Work(PENDING, worker_id=None, fence=True)
    work.end.set()
    await working(client, work)
    assert not work.execution.fenced


async def test_progress_renews_the_fence(target: str, script: Script) -> None:
    started_script(script, RUNNING).will("UpdateProgress", pb.UpdateProgressResponse(run=RUNNING))
    script.will("Complete", pb.CompleteResponse(run=run("SUCCESS", 3)))
    async with (
        AsyncRunClient(target, token=None) as client,
        client.execute(PENDING, lease_ttl=60, fence=True) as execution,
    ):
        assert execution._fence is not None
        before = execution._fence._renewed
        await execution.update_progress(Progress(total_tokens=1))
        assert execution._fence._renewed > before


def test_late_confirmation_does_not_take_time_away() -> None:
    fence, started = Fence(100, now()), now()
    fence.renew(started + 50)
    fence.renew(started + 10)
    assert 140 < fence.time_left <= 150
    assert fence.pause == 1
    assert Fence(1, started - 2).time_left <= 0
    assert Fence(1, started - 2).pause == 0
