"""A caller: asks assistant "echo" something, and follows the answer. Ctrl-C takes the question back.

python clients/python/examples/caller.py what is a run
"""

from __future__ import annotations

import sys
from uuid import uuid4

from runsvc.client import RunClient, ThreadBusy, Unavailable
from runsvc.v1.run_pb2 import Run, RunSpec, RunStatus


def follow(client: RunClient, run_id: str) -> Run:
    """Show what comes, across restarts of the server; the run as it was at last."""
    run = Run()
    for event in client.watch(run_id, include_progress=True, until_acknowledged=True):
        if event.HasField("run"):
            run = event.run
            print(RunStatus.Name(run.status), run.progress.last_ai_message, flush=True)
    return run


def ask(client: RunClient, question: str) -> Run:
    """One question on the thread, one at a time. The request_id makes asking again safe."""
    spec = RunSpec(thread_id="chat-1", assistant_id="echo", kwargs={"input": question})
    run_id = client.create_or_reject(spec, request_id=str(uuid4())).run.run_id
    try:
        return follow(client, run_id)
    except KeyboardInterrupt:
        client.cancel(run_id, note="the caller pressed Ctrl-C")
        return follow(client, run_id)


def main() -> None:
    """Ask, and exit with 0 when there was an answer."""
    with RunClient() as client:
        try:
            run = ask(client, " ".join(sys.argv[1:]) or "hello")
        except ThreadBusy as busy:
            sys.exit(f"the thread is busy with {busy.metadata['run_id']}")
        except Unavailable:
            sys.exit(f"no runsvc server at {client.target}: start one with make run")
        if run.cancellation.HasField("acknowledged_at"):
            print("cancelled, and the worker has stopped")
        if run.error:
            print("error:", run.error)
        for page in client.list_by_thread("chat-1", page_size=5):
            print("the newest of the thread:", *(RunStatus.Name(each.status) for each in page.runs))
            break
    sys.exit(run.status != RunStatus.RUN_STATUS_SUCCESS)


if __name__ == "__main__":
    main()
