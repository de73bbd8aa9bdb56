"""A caller: sends an input to assistant "echo" and follows the run. Ctrl-C cancels it.

python clients/python/examples/caller.py what is a run
"""

from __future__ import annotations

import sys
from uuid import uuid4

from runsvc.client import RunClient, ThreadBusy, Unavailable
from runsvc.v1.run_pb2 import Run, RunSpec, RunStatus


def follow(client: RunClient, run_id: str) -> Run:
    """Print the run's changes until it ends, and return its last state."""
    run = Run()
    for event in client.watch(run_id, include_progress=True, until_acknowledged=True):
        if event.HasField("run"):
            run = event.run
            print(RunStatus.Name(run.status), run.progress.last_ai_message, flush=True)
    return run


def send(client: RunClient, text: str) -> Run:
    """Create a run, unless its thread is busy, and follow it. The request_id makes retries safe."""
    spec = RunSpec(thread_id="chat-1", assistant_id="echo", kwargs={"input": text})
    run_id = client.create_or_reject(spec, request_id=str(uuid4())).run.run_id
    try:
        return follow(client, run_id)
    except KeyboardInterrupt:
        client.cancel(run_id, note="Ctrl-C in the caller")
        return follow(client, run_id)


def main() -> None:
    """Send the arguments. Exit with 0 if the run ends as SUCCESS."""
    with RunClient() as client:
        try:
            run = send(client, " ".join(sys.argv[1:]) or "hello")
        except ThreadBusy as busy:
            sys.exit(f"The thread is busy with run {busy.metadata['run_id']}.")
        except Unavailable:
            sys.exit(f"No runsvc server answers at {client.target}. Start one with: make run")
        if run.cancellation.HasField("acknowledged_at"):
            print("cancelled, and the executor has stopped")
        if run.error:
            print("error:", run.error)
        for page in client.list_by_thread("chat-1", page_size=5):
            print("newest runs:", *(RunStatus.Name(each.status) for each in page.runs))
            break
    sys.exit(run.status != RunStatus.RUN_STATUS_SUCCESS)


if __name__ == "__main__":
    main()
