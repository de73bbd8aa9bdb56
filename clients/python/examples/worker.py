"""A worker of assistant "echo": python clients/python/examples/worker.py [concurrency]

Ctrl-C or SIGTERM lets its runs finish for ten seconds, and gives the others back.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from runsvc.client import AsyncExecution, AsyncRunClient, AsyncWorker, RetryableError
from runsvc.v1.run_pb2 import Progress

CONCURRENCY = int(sys.argv[1]) if len(sys.argv) > 1 else 4
#: Seconds for each word.
PAUSE = 0.3


async def echo(execution: AsyncExecution) -> dict[str, str]:
    """Repeat the input word by word, and report each word as progress."""
    run = execution.run
    print("started", run.run_id, "attempt", run.attempt, flush=True)
    words = run.kwargs.fields["input"].string_value.split()
    for count, word in enumerate(words, start=1):
        await asyncio.sleep(PAUSE)
        if word == "fail":
            raise ValueError("the input asked for a failure")
        if word == "retry" and run.attempt == 1:
            raise RetryableError("the input asked for another attempt")
        said = " ".join(words[:count])
        await execution.update_progress(Progress(total_tokens=count, last_ai_message=said))
    print("done", run.run_id, flush=True)
    return {"output": " ".join(words)}


async def main() -> None:
    """Execute runs until a signal arrives."""
    async with AsyncRunClient() as client:
        worker = AsyncWorker(
            client, echo, assistants=["echo"], concurrency=CONCURRENCY, lease_ttl=5, grace=10
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, worker.stop)
        print(f"worker {worker.worker_id} claims runs of echo", flush=True)
        await worker.run()
    print("stopped", flush=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(main())
