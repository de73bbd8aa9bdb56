"""The example of a store that refuses late writes, with an executor that is paused for longer than its lease."""

from __future__ import annotations

import signal
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from runsvc.client import AsyncRunClient
from runsvc.v1.run_pb2 import Handover, MultitaskStrategy, QueueGate, RunSpec, RunStatus
from tests.clients.python.programs import HERE, Program, running
from tests.support.server import Process
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from runsvc.v1.run_pb2 import Run

LONG = " ".join(["old"] * 1_000)


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[str]:
    async with Process(tmp_path / "runs.db") as process:
        yield process.address


def worker(target: str, file: Path) -> AbstractAsyncContextManager[Program]:
    return running(target, sys.executable, f"{HERE}/examples/fenced.py", str(file))


def text_in(file: Path) -> tuple[str, int]:
    with closing(sqlite3.connect(file)) as connection:
        ((text, token),) = connection.execute("SELECT text, token FROM texts").fetchall()
    return text, token


async def displace(client: AsyncRunClient, text: str) -> Run:
    """Create a run that takes the place of the present one when its executor has stopped."""
    spec = RunSpec(
        thread_id="t",
        assistant_id="notes",
        kwargs={"input": text},
        multitask_strategy=MultitaskStrategy.MULTITASK_STRATEGY_INTERRUPT,
        handover=Handover.HANDOVER_AFTER_STOP,
    )
    return (await client.create_or_reject(spec)).run


async def test_late_write_of_a_paused_executor_is_refused(target: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    async with AsyncRunClient(target) as client, worker(target, file) as paused:
        old = await displace(client, LONG)
        await paused.wait_for_line(f"wrote {old.run_id} 1")
        paused.signal(signal.SIGSTOP)
        new = await displace(client, "new text")
        # The executor may go on at any time before its lease is over.
        waiting = await client.get(new.run_id)
        assert waiting.status == RunStatus.RUN_STATUS_QUEUED
        assert waiting.queue.gate == QueueGate.QUEUE_GATE_HANDOVER
        assert waiting.queue.blocked_by_run_id == old.run_id
        async with worker(target, file) as second:
            await second.wait_for_line(f"wrote {new.run_id} 2")
            stopped = (await client.get(old.run_id)).cancellation
            assert stopped.HasField("presumed_stopped_at")
            assert not stopped.HasField("acknowledged_at")
            paused.signal(signal.SIGCONT)
            await paused.wait_for_line(f"refused {old.run_id}")

            async def has_ended() -> bool:
                return (await client.get(new.run_id)).status == RunStatus.RUN_STATUS_SUCCESS

            await until(has_ended)
        ended = await client.get(new.run_id)
        assert ended.result["output"] == "new text"
        assert ended.fencing_token > (await client.get(old.run_id)).fencing_token
        assert text_in(file) == ("new text", ended.fencing_token)


async def test_executor_that_stops_in_time_hands_over_at_once(target: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    async with AsyncRunClient(target) as client, worker(target, file) as only:
        old = await displace(client, LONG)
        await only.wait_for_line(f"wrote {old.run_id} 1")
        new = await displace(client, "new")
        await only.wait_for_line(f"wrote {new.run_id} 1")
        stopped = (await client.get(old.run_id)).cancellation
        assert stopped.HasField("acknowledged_at")
        assert not stopped.HasField("presumed_stopped_at")
