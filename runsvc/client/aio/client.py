"""AsyncRunClient: every call of the service, and the executor's side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.client.aio.execution import AsyncExecution
from runsvc.client.aio.runs import AsyncRunCalls
from runsvc.client.execution import LEASE_TTL

if TYPE_CHECKING:
    from runsvc.v1.run_pb2 import Run


class AsyncRunClient(AsyncRunCalls):
    """A client of the run service for asyncio.

    A method returns the one value that its answer holds, or the whole answer if it holds several. It raises `RunError`
    or a subclass with the server's reason. `timeout` is the deadline of a call in seconds, retries included; math.inf
    disables it. While the server is unavailable, reads, and creations with a `request_id`, are attempted up to four
    times. No other call is repeated.

        async with AsyncRunClient() as client:
            spec = RunSpec(thread_id="chat-1", kwargs={"input": "hello"})
            created = await client.create_or_reject(spec)
            print(created.run.run_id)
    """

    def execute(
        self,
        run: Run | str,
        *,
        worker_id: str | None = "",
        lease_ttl: float | None = LEASE_TTL,
        outage: float | None = None,
        fence: bool = False,
    ) -> AsyncExecution:
        """Execute a run in an `async with` block: start it, keep its lease, stop on a cancel, report the end.

        - `run` is a run id, or a run. Its kwargs are read from the server if it has none, as in lists and watches.
        - `worker_id` names this executor. Omitted, the execution makes one of host name, process id and a random part,
          which no other execution has. None executes the run without a holder, and therefore without a lease.
        - `lease_ttl` is the lease in seconds, 1 to 3,600. The server ends the run as ERROR if the executor is silent
          for that long; the execution sends a heartbeat every third of it. None keeps the lease of the run's creation,
          if it has one.
        - `outage` is how long the report of the end is retried, in seconds. None is the length of the lease, or 60 if
          that is longer. The work continues while there is no server: such time does not count towards the lease.
        - `fence` stops the work, as a cancel does, when the lease may be over because no renewal was confirmed in time.
          The run is then reported as ERROR, and `fenced` is true. Without a lease it has no effect.

        Entering the block raises `NotFound`, or `FailedPrecondition` if the run has ended (INVALID_TRANSITION) or
        another worker holds it (NOT_HOLDER).

            async with client.execute(run_id) as execution:
                answer = await work(execution.run.kwargs)
                await execution.update_progress(Progress(total_tokens=answer.tokens))
        """
        return AsyncExecution(self, run, worker_id, lease_ttl, outage, fence)
