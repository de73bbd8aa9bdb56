"""Create a run, execute it with a lease, and print how it ended."""

from __future__ import annotations

from runsvc.client import RunClient
from runsvc.v1.run_pb2 import RunSpec, RunStatus

EXECUTOR = "python-executor"

with RunClient() as client:
    run_id = client.create(RunSpec(thread_id="python")).run.run_id
    client.set_status(run_id, RunStatus.RUN_STATUS_RUNNING, worker_id=EXECUTOR, lease_ttl=30)
    client.heartbeat(run_id, EXECUTOR)
    client.complete(run_id, RunStatus.RUN_STATUS_SUCCESS, worker_id=EXECUTOR)
    print(run_id, RunStatus.Name(client.get(run_id).status).removeprefix("RUN_STATUS_"))
