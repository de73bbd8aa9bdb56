"""An executor of assistant "echo", until Ctrl-C: python clients/python/examples/executor.py [worker id]"""

from __future__ import annotations

import asyncio
import sys

from runsvc.client import AsyncExecution, AsyncRunClient, FailedPrecondition, Unavailable
from runsvc.client import new_worker_id as new_id
from runsvc.v1.run_pb2 import Progress, RunStatus

WORKER_ID = sys.argv[1] if len(sys.argv) > 1 else new_id()


async def echo(execution: AsyncExecution) -> None:
    """Repeat the input word by word, and report each word as progress."""
    words = execution.run.kwargs.fields["input"].string_value.split()
    for count, word in enumerate(words, start=1):
        await asyncio.sleep(0.3)
        if word == "fail":
            raise ValueError("the input asked for a failure")
        usage = Progress(total_tokens=count, last_ai_message=" ".join(words[:count]))
        await execution.update_progress(usage)


async def execute(client: AsyncRunClient, run_id: str) -> None:
    """Execute one run under a lease. A cancel of the run cancels `echo` where it waits."""
    try:
        async with client.execute(run_id, worker_id=WORKER_ID, lease_ttl=5) as execution:
            print("started", run_id, flush=True)
            await echo(execution)
    except FailedPrecondition:
        print("held by another executor, or ended", run_id, flush=True)
    except ValueError as error:
        print("failed", run_id, error, flush=True)
    else:
        ending = "cancelled" if execution.cancelled else "lost" if execution.lost else "done"
        print(ending, run_id, flush=True)


async def main() -> None:
    """Start every PENDING run. Ctrl-C ends the active ones as ERROR, so that none is left behind."""
    async with AsyncRunClient() as client, asyncio.TaskGroup() as tasks:
        try:
            await client.get_server_info()
        except Unavailable:
            sys.exit(f"No runsvc server answers at {client.target}. Start one with: make run")
        print(f"worker {WORKER_ID} waits for runs", flush=True)
        async for event in client.watch(all_runs=True, assistant_id="echo", resnapshot=True):
            if event.run.status == RunStatus.RUN_STATUS_PENDING:
                tasks.create_task(execute(client, event.run.run_id))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("stopped", flush=True)
