"""Calls of both clients against a real server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.client import FailedPrecondition, InvalidArgument, NotFound, ThreadBusy
from runsvc.v1.run_pb2 import MultitaskStrategy, Progress, RunSpec, RunStatus
from tests.support.both_clients import make_client
from tests.support.calls import CHANGED, INTERRUPTED, PENDING
from tests.support.proxy import proxied
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from tests.support.server import Process

INTERRUPT = MultitaskStrategy.MULTITASK_STRATEGY_INTERRUPT


async def test_calls_over_the_life_of_a_run(client: Any) -> None:
    created = await client.create_or_reject(RunSpec(thread_id="t", kwargs={"input": "☃"}))
    run_id = created.run.run_id
    with pytest.raises(ThreadBusy) as busy:
        await client.create_or_reject(RunSpec(thread_id="t"))
    assert busy.value.metadata["run_id"] == run_id
    assert (await client.get(run_id)).kwargs["input"] == "☃"
    assert await client.has_inflight("t") == (run_id,)
    started = await client.set_status(run_id, RunStatus.RUN_STATUS_RUNNING, worker_id="w")
    assert started.changed
    with pytest.raises(FailedPrecondition) as refusal:
        await client.set_status(run_id, RunStatus.RUN_STATUS_SUCCESS)
    assert refusal.value.reason == "NOT_HOLDER"
    used = Progress(total_tokens=2**60)
    assert (await client.update_progress(run_id, used, worker_id="w")).applied
    await client.update_model_name(run_id, "large")
    ended = await client.complete(run_id, RunStatus.RUN_STATUS_SUCCESS, worker_id="w")
    assert (ended.run.progress.total_tokens, ended.run.model_name) == (2**60, "large")
    await client.delete(run_id)
    with pytest.raises(NotFound):
        await client.get(run_id)
    with pytest.raises(InvalidArgument) as invalid:
        await client.create(RunSpec(thread_id="?", model_name="m" * 200))
    assert {each.field for each in invalid.value.violations} == {
        "spec.thread_id",
        "spec.model_name",
    }
    assert (await client.get_server_info()).active_runs == 0


async def test_pages_hold_every_run_once(client: Any) -> None:
    created = [(await client.create(RunSpec(thread_id="t"))).run.run_id for _ in range(7)]
    pages = [page async for page in client.list_by_thread("t", page_size=3)]
    assert [len(page.runs) for page in pages] == [3, 3, 1]
    assert [run.run_id for page in pages for run in page.runs] == created[::-1]


async def test_creation_with_a_lost_answer_is_not_repeated(
    kind: Any, client: Any, process: Process
) -> None:
    before = (await client.create(RunSpec(thread_id="t"))).run.run_id
    spec = RunSpec(thread_id="t", multitask_strategy=INTERRUPT)
    async with (
        proxied(process.address) as proxy,
        make_client(kind, proxy.address, timeout=PATIENCE) as cut,
    ):
        await cut.get(before)
        proxy.mute()
        creating = asyncio.create_task(cut.create_or_reject(spec, request_id="q"))

        async def is_displaced() -> bool:
            return bool((await client.get(before)).status == INTERRUPTED)

        await until(is_displaced)
        proxy.cut()
        created = await creating
    assert created.replayed
    assert created.run.status == PENDING
    assert [run.run_id for run in created.superseded] == [before]
    assert await client.has_inflight("t") == (created.run.run_id,)
    changes = [
        (event.run.run_id, event.run.status)
        async for event in client.watch(before, after_revision=0)
        if event.event == CHANGED
    ]
    assert changes == [(before, PENDING), (before, INTERRUPTED)]
    (page,) = [page async for page in client.list_by_thread("t")]
    assert len(page.runs) == 2
