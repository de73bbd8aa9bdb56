"""Ctrl-C in the examples of the TypeScript client: every run that they perform is reported before they exit.

They are compiled with the driver. The examples in Python are tested in `tests/clients/python`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.client import AsyncRunClient
from runsvc.v1.run_pb2 import RunSpec, RunStatus
from tests.clients.python.programs import running
from tests.support.server import Process
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.clients

EXAMPLES = Path(__file__).parents[2] / "clients" / "typescript" / "dist" / "example"
STOPPING = "Finishing the runs in progress"
#: The executor takes half a second for each word.
LONG = "word " * 100
SHORT = "one two"

PENDING, SUCCESS, ERROR = (
    RunStatus.RUN_STATUS_PENDING,
    RunStatus.RUN_STATUS_SUCCESS,
    RunStatus.RUN_STATUS_ERROR,
)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsyncRunClient]:
    async with (
        Process(tmp_path / "runs.db") as process,
        AsyncRunClient(process.address, token=None, tls_ca=None) as client,
    ):
        yield client


async def interrupted(client: AsyncRunClient, example: str, text: str, times: int) -> Any:
    """Interrupt the example while it performs a run. Return the run as of the example's end."""
    program = EXAMPLES / f"{example}.js"
    if not program.exists():
        pytest.skip("the client is not compiled: make test-client-typescript")
    spec = RunSpec(thread_id="t", assistant_id="echo", kwargs={"input": text})
    run_id = (await client.create(spec)).run.run_id

    async def has_begun() -> bool:
        return (await client.get(run_id)).status != RunStatus.RUN_STATUS_PENDING

    async with running(client.target, "node", str(program)) as started:
        await until(has_begun)
        started.interrupt()
        await started.wait_for_line(STOPPING)
        for _ in range(1, times):
            started.interrupt()
        assert await started.exit_status() == 0
    return await client.get(run_id)


async def test_executor_finishes_and_reports_a_run_in_progress(client: AsyncRunClient) -> None:
    assert (await interrupted(client, "executor", SHORT, 1)).status == SUCCESS


async def test_worker_finishes_a_run_in_progress_or_gives_it_back(client: AsyncRunClient) -> None:
    run = await interrupted(client, "worker", SHORT, 1)
    # It gives back a run whose claim was not answered yet.
    assert (run.status, run.attempt) in ((SUCCESS, 1), (PENDING, 0))


async def test_executor_reports_a_run_that_a_second_one_stops(client: AsyncRunClient) -> None:
    assert (await interrupted(client, "executor", LONG, 2)).status == ERROR
