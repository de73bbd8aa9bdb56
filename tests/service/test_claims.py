"""Claims over a real connection: who gets a run, when, and what happens to runs that nobody takes."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.duration_pb2 import Duration

from runsvc.v1 import run_pb2, run_service_pb2
from tests.support.calls import (
    ENQUEUE,
    ERROR,
    INTERRUPT,
    INTERRUPTED,
    PENDING,
    RUNNING,
    SUCCESS,
    call,
    created,
    refused,
)
from tests.support.engines import EVERY_ENGINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.server import Client

#: See conftest.
ENGINES = EVERY_ENGINE

QUEUED = 7
#: Longest wait of a claim for a run that arrives, in seconds. The server allows no longer one.
WAIT = 60
AFTER_STOP = 2


def seconds(length: float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=length))
    return duration


async def claim(
    client: Client, worker: str = "w", *assistants: str, wait: float = 0, **fields: Any
) -> Sequence[run_pb2.Run]:
    answer = await call(
        client,
        "Claim",
        worker_id=worker,
        assistant_ids=assistants or ("a",),
        wait=seconds(wait),
        **{"lease_ttl": seconds(30)} | fields,
    )
    runs: Sequence[run_pb2.Run] = answer.runs
    return runs


async def enqueued(client: Client, thread_id: str = "t", **spec: Any) -> run_pb2.Run:
    fields = {"thread_id": thread_id, "assistant_id": "a", "multitask_strategy": ENQUEUE} | spec
    answer = await call(client, "CreateOrReject", spec=fields)
    run: run_pb2.Run = answer.run
    return run


async def status_of(client: Client, run: run_pb2.Run) -> int:
    return int((await call(client, "Get", run_id=run.run_id)).run.status)


async def test_a_claim_starts_the_run_of_its_assistant(client: Client) -> None:
    await created(client, "t", assistant_id="b")
    run = await created(client, "t", assistant_id="a", kwargs={"k": "v"})
    (claimed,) = await claim(client, max_runs=5)
    assert (claimed.run_id, claimed.status, claimed.worker_id) == (run.run_id, RUNNING, "w")
    assert (claimed.attempt, claimed.fencing_token) == (1, claimed.revision)
    assert claimed.kwargs["k"] == "v"
    assert claimed.lease.ttl.seconds == 30
    assert await claim(client) == []


async def test_a_run_that_becomes_claimable_wakes_one_claim(client: Client) -> None:
    waiting = [asyncio.ensure_future(claim(client, f"w{n}", wait=WAIT)) for n in range(5)]
    await asyncio.sleep(0.1)
    await created(client, "t", assistant_id="a")
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert [len(each.result()) for each in done] == [1]
    assert len(pending) == 4
    for each in pending:
        each.cancel()


async def test_the_end_of_a_run_hands_the_next_one_of_its_thread_to_a_waiting_claim(
    client: Client,
) -> None:
    first, second = await enqueued(client), await enqueued(client)
    assert (first.status, second.status) == (PENDING, QUEUED)
    await claim(client)
    waiting = asyncio.ensure_future(claim(client, "w2", wait=WAIT))
    await asyncio.sleep(0.05)
    await call(client, "Complete", run_id=first.run_id, status=SUCCESS, worker_id="w", attempt=1)
    assert [run.run_id for run in await waiting] == [second.run_id]


async def test_a_claim_whose_caller_left_takes_nothing(client: Client) -> None:
    gone = asyncio.ensure_future(claim(client, "gone", wait=WAIT))
    await asyncio.sleep(0.1)
    gone.cancel()
    await asyncio.sleep(0.1)
    run = await created(client, "t", assistant_id="a")
    assert [each.run_id for each in await claim(client, "w2", wait=WAIT)] == [run.run_id]


async def test_the_same_request_id_returns_the_same_runs(client: Client) -> None:
    for number in range(4):
        await created(client, f"t{number}", assistant_id="a")
    first = await claim(client, max_runs=2, request_id="q")
    assert await claim(client, max_runs=2, request_id="q") == first
    other = await claim(client, "another", max_runs=2, request_id="q")
    assert not {run.run_id for run in first} & {run.run_id for run in other}
    for run in first:
        await call(client, "Complete", run_id=run.run_id, status=SUCCESS, worker_id="w")
    assert await claim(client, request_id="q") == []


async def test_priority_comes_before_age(client: Client) -> None:
    for priority in (1, 3, 5, 3):
        await created(client, f"t{priority}", assistant_id="a", priority=priority)
    assert [run.priority for run in await claim(client, max_runs=4)] == [5, 3, 3, 1]


async def test_a_released_run_is_claimed_first_and_its_attempt_does_not_count(
    client: Client,
) -> None:
    retry = run_pb2.Retry(max_attempts=2)
    run = await created(client, "t", assistant_id="a", retry=retry)
    await created(client, "t2", assistant_id="a")
    await claim(client)
    released = (await call(client, "Release", run_id=run.run_id, worker_id="w", attempt=1)).run
    assert (released.status, released.retry.released) == (PENDING, 1)
    assert not released.HasField("lease")
    (again,) = await claim(client, "w2")
    assert (again.run_id, again.attempt) == (run.run_id, 2)
    error = await refused(client, "Release", run_id=run.run_id, worker_id="w", attempt=1)
    assert error.reason == "NOT_HOLDER"


async def test_a_retryable_error_leads_to_another_attempt_and_then_to_the_end(
    client: Client,
) -> None:
    retry = run_pb2.Retry(max_attempts=2, backoff=seconds(0.2))
    run = await created(client, "t", assistant_id="a", retry=retry)
    report = {"run_id": run.run_id, "status": ERROR, "error": "e", "worker_id": "w"}
    await claim(client)
    first = (await call(client, "Complete", **report, retryable=True, attempt=1)).run
    assert (first.status, first.error, first.worker_id) == (PENDING, "e", "")
    error = await refused(client, "Complete", **report, attempt=1)
    assert error.reason == "NOT_HOLDER"
    (second,) = await claim(client, wait=WAIT)
    # Not before its pause is over, by the server's clock.
    pause = second.started_at.ToDatetime(UTC) - first.updated_at.ToDatetime(UTC)
    assert pause >= timedelta(seconds=0.2)
    assert (second.attempt, second.error) == (2, "")
    assert second.fencing_token > first.fencing_token
    assert (await refused(client, "Complete", **report, attempt=1)).reason == "NOT_HOLDER"
    last = (await call(client, "Complete", **report, retryable=True, attempt=2)).run
    assert last.status == ERROR


async def test_a_lost_lease_hands_the_run_to_another_worker(client: Client) -> None:
    run = await created(client, "t", assistant_id="a", retry=run_pb2.Retry(max_attempts=2))
    await claim(client, "dead", lease_ttl=seconds(1))
    (again,) = await claim(client, "w2", wait=WAIT)
    assert (again.run_id, again.attempt, again.worker_id) == (run.run_id, 2, "w2")
    for worker, attempt in (("dead", 1), ("w2", 1)):
        fields = {"run_id": run.run_id, "worker_id": worker, "attempt": attempt}
        assert (await refused(client, "Heartbeat", **fields)).reason == "NOT_HOLDER"


async def test_a_run_with_a_handover_waits_until_the_earlier_executor_has_stopped(
    client: Client,
) -> None:
    await enqueued(client)
    (first,) = await claim(client)
    spec = {"thread_id": "t", "multitask_strategy": INTERRUPT, "handover": AFTER_STOP}
    second = (await call(client, "CreateOrReject", spec=spec)).run
    assert second.status == QUEUED
    waits = (await call(client, "Get", run_id=second.run_id)).run.queue
    assert (waits.gate, waits.blocked_by_run_id) == (3, first.run_id)
    busy = await refused(client, "CreateOrReject", spec={"thread_id": "t", "handover": AFTER_STOP})
    assert busy.reason == "THREAD_BUSY"
    await call(client, "AcknowledgeCancel", run_id=first.run_id, worker_id="w")
    assert await status_of(client, second) == PENDING


async def test_a_handover_ends_with_the_lease_of_a_silent_executor(client: Client) -> None:
    await enqueued(client)
    (first,) = await claim(client, lease_ttl=seconds(1))
    spec = {
        "thread_id": "t",
        "assistant_id": "a",
        "multitask_strategy": INTERRUPT,
        "handover": AFTER_STOP,
    }
    second = (await call(client, "CreateOrReject", spec=spec)).run
    (claimed,) = await claim(client, "w2", wait=WAIT)
    assert claimed.run_id == second.run_id
    stopped = (await call(client, "Get", run_id=first.run_id)).run.cancellation
    assert stopped.HasField("presumed_stopped_at")
    assert claimed.fencing_token > first.fencing_token


async def test_a_delayed_run_starts_at_its_time_on_an_idle_server(client: Client) -> None:
    at = datetime.now(UTC) + timedelta(seconds=0.5)
    run = await created(client, "t", assistant_id="a", not_before=at)
    # A busy machine may create it later than that.
    assert (run.status == QUEUED) == (run.created_at.ToDatetime(UTC) < at)
    (claimed,) = await claim(client, wait=WAIT)
    assert claimed.pending_at.ToDatetime(UTC) >= at


async def test_queued_runs_end_by_cancel_and_by_queue_timeout(client: Client) -> None:
    first = await enqueued(client)
    second = await enqueued(client, queue_timeout=seconds(0.2))
    third = await enqueued(client)
    await call(client, "Cancel", run_id=third.run_id)
    assert await status_of(client, third) == INTERRUPTED
    request = run_service_pb2.StreamStatusRequest(run_id=second.run_id)
    reasons = [response.run.status_reason async for response in client.runs.StreamStatus(request)]
    assert reasons[-1] == run_pb2.STATUS_REASON_QUEUE_TIMEOUT_EXCEEDED
    assert await status_of(client, first) == PENDING


async def test_a_promotion_follows_the_change_that_made_room(client: Client) -> None:
    first, second = await enqueued(client), await enqueued(client)
    ended = (await call(client, "Cancel", run_id=first.run_id)).run
    request = run_service_pb2.StreamStatusRequest(thread_id="t", after_revision=ended.revision - 1)
    stream: Any = client.runs.StreamStatus(request)
    changes = [await stream.read() for _ in range(2)]
    stream.cancel()
    assert [(change.run.run_id, change.more) for change in changes] == [
        (first.run_id, True),
        (second.run_id, False),
    ]
    assert changes[1].revision == ended.revision + 1
    assert (changes[1].previous_status, changes[1].run.status) == (QUEUED, PENDING)


async def hand_out(client: Client, claimers: int, runs: int) -> Counter[tuple[str, int]]:
    """Let many claimers take and end runs, some of which they release or lose; count each attempt handed out."""
    handed: Counter[tuple[str, int]] = Counter()
    ended: set[str] = set()

    async def work(worker: str) -> None:
        while len(ended) < runs:
            for run in await claim(client, worker, wait=1, max_runs=1 + len(worker) % 3):
                handed[run.run_id, run.attempt] += 1
                if run.attempt == 1 and handed.total() % 7 == 0:
                    await call(client, "Release", run_id=run.run_id, worker_id=worker)
                    continue
                report = {"run_id": run.run_id, "worker_id": worker, "attempt": run.attempt}
                await call(client, "Complete", status=SUCCESS, **report)
                ended.add(run.run_id)

    async def create() -> None:
        for number in range(runs):
            await enqueued(client, f"t{number % 9}")

    await asyncio.gather(create(), *(work(f"w{number}") for number in range(claimers)))
    assert len(ended) == runs
    return handed


async def test_each_attempt_is_handed_out_once(client: Client) -> None:
    handed = await hand_out(client, 16, 120)
    assert set(handed.values()) == {1}


@pytest.mark.soak
async def test_each_attempt_of_many_runs_is_handed_out_once(client: Client) -> None:
    handed = await hand_out(client, 64, 10_000)
    assert set(handed.values()) == {1}
