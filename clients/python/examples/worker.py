"""A worker: does the runs of assistant "echo", until Ctrl-C. python clients/python/examples/worker.py [worker id]"""

from __future__ import annotations

import asyncio
import sys

from runsvc.client import AsyncExecution, AsyncRunClient, FailedPrecondition, Unavailable
from runsvc.v1.run_pb2 import Progress, RunStatus

WORKER = sys.argv[1] if len(sys.argv) > 1 else "worker-1"


async def answer(execution: AsyncExecution) -> None:
    """The work itself: says the question again, word by word."""
    said: list[str] = []
    for word in str(execution.run.kwargs["input"]).split():
        await asyncio.sleep(0.3)
        if word == "fail":
            raise ValueError("I was asked to fail")
        said.append(word)
        spoken = Progress(total_tokens=len(said), last_ai_message=" ".join(said))
        await execution.update_progress(spoken)


async def execute(client: AsyncRunClient, run_id: str) -> None:
    """One run, from its start to its report. A cancel stops `answer` where it waits, and is acknowledged."""
    try:
        async with client.executing(run_id, worker_id=WORKER, lease_ttl=5) as execution:
            print("started", run_id, flush=True)
            await answer(execution)
    except FailedPrecondition:
        print("another worker's, or over", run_id, flush=True)
    except ValueError as error:
        print("failed", run_id, error, flush=True)
    else:
        how = "cancelled" if execution.cancelled else "lost" if execution.lost else "done"
        print(how, run_id, flush=True)


async def main() -> None:
    """Begin every run that waits. Ctrl-C ends those under way as ERROR: none is left behind."""
    async with AsyncRunClient() as client, asyncio.TaskGroup() as tasks:
        try:
            await client.get_server_info()
        except Unavailable:
            sys.exit(f"no runsvc server at {client.target}: start one with make run")
        print("waiting for runs", flush=True)
        async for event in client.watch(all_runs=True, assistant_id="echo", resnapshot=True):
            if event.run.status == RunStatus.RUN_STATUS_PENDING:
                tasks.create_task(execute(client, event.run.run_id))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("stopped", flush=True)
