"""A batch of runs through workers of several languages: python clients/python/examples/batch.py [--runs N] COMMAND...

Each COMMAND starts a worker of assistant "echo", in the folder of the repository. For example:

python clients/python/examples/batch.py --runs 1000 "$(which python) clients/python/examples/worker.py 16" \
    "cd clients/go && go run ./example/worker"
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path
from uuid import uuid4

from runsvc.client import AsyncRunClient
from runsvc.v1.run_pb2 import Run, RunSpec, RunStatus

ROOT = Path(__file__).parents[3]
ENDS = {"RUN_STATUS_SUCCESS", "RUN_STATUS_ERROR", "RUN_STATUS_TIMEOUT", "RUN_STATUS_INTERRUPTED"}
#: Creations at a time.
PARALLEL = 32


async def create(client: AsyncRunClient, batch: str, count: int) -> None:
    """Create the runs, each on a thread of its own. The request_id makes a repeated creation harmless."""
    slots = asyncio.Semaphore(PARALLEL)

    async def one(number: int) -> None:
        name = f"{batch}-{number}"
        spec = RunSpec(thread_id=name, assistant_id="echo", kwargs={"input": str(number)})
        async with slots:
            await client.create(spec, request_id=name)

    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(one(number))


async def performed(client: AsyncRunClient, batch: str, count: int) -> dict[str, Run]:
    """Create the runs, and watch them until all have ended."""
    info = await client.get_server_info()
    ended: dict[str, Run] = {}
    starts = Counter[str]()
    creating = asyncio.create_task(create(client, batch, count))
    async for event in client.watch(
        all_runs=True,
        assistant_id="echo",
        after_revision=info.current_revision,
        store_id=info.store_id,
    ):
        run, status = event.run, RunStatus.Name(event.run.status)
        if not run.thread_id.startswith(batch):
            continue
        starts[run.run_id] += status == "RUN_STATUS_RUNNING"
        if status in ENDS:
            ended[run.run_id] = run
        if len(ended) == count:
            break
    await creating
    assert set(starts.values()) == {1}, "a run was handed out twice"
    return ended


async def main() -> None:
    """Start the workers, perform the batch, and print how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("commands", nargs="*", metavar="COMMAND")
    options = parser.parse_args()
    workers = [
        await asyncio.create_subprocess_shell(
            command, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        for command in options.commands
    ]
    try:
        async with AsyncRunClient() as client:
            begun = time.monotonic()
            runs = await performed(client, f"batch-{uuid4()}", options.runs)
            seconds = time.monotonic() - begun
    finally:
        for worker in workers:
            if worker.returncode is None:
                os.killpg(worker.pid, signal.SIGTERM)
        await asyncio.gather(*(worker.wait() for worker in workers))
    print(f"{len(runs)} runs in {seconds:.1f} s")
    for status, number in Counter(RunStatus.Name(run.status) for run in runs.values()).items():
        print(f"{status}: {number}")
    for worker_id, number in Counter(run.worker_id for run in runs.values()).most_common():
        print(f"worker {worker_id}: {number}")


if __name__ == "__main__":
    asyncio.run(main())
