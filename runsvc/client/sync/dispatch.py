# Generated from runsvc/client/aio/dispatch.py by `make gen`; do not edit.
"""The calls by which executors ask for runs and give them back, over threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.client.execution import CLAIM_WAIT, LEASE_TTL
from runsvc.client.lengths import duration
from runsvc.client.sync.admin import AdminCalls
from runsvc.v1.run_service_pb2 import ClaimRequest, ReleaseRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.v1.run_pb2 import Run


class DispatchCalls(AdminCalls):
    """Claim and Release."""

    def claim(
        self,
        worker_id: str,
        *,
        assistants: Sequence[str] = (),
        any_assistant: bool = False,
        max_runs: int = 1,
        lease_ttl: float = LEASE_TTL,
        wait: float = CLAIM_WAIT,
        request_id: str = "",
        timeout: float | None = None,
    ) -> tuple[Run, ...]:
        """Take PENDING runs of up to 16 assistants, or of any assistant, and return them: RUNNING, with kwargs.

        Without such a run the call waits for one, for at most `wait` seconds, 0 to 60; then it returns no run. Each run
        has the lease `lease_ttl`, in seconds. A repeated call with the same `request_id` returns the runs that the
        first one took. `timeout` None is the client's default in addition to `wait`. `Worker` claims and executes.
        """
        request = ClaimRequest(
            worker_id=worker_id,
            assistant_ids=assistants,
            max_runs=max_runs,
            lease_ttl=duration(lease_ttl, "lease_ttl"),
            wait=duration(wait, "wait"),
            request_id=request_id,
            any_assistant=any_assistant,
        )
        longest = self.timeout + wait if timeout is None else timeout
        answer = self._call(self.stub.Claim, request, longest)
        return tuple(answer.runs)

    def release(
        self,
        run_id: str,
        worker_id: str,
        *,
        attempt: int | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Give a run back: it becomes PENDING again, and the attempt does not count. Its executor must have stopped.

        Raises `NotFound`, and `FailedPrecondition` with NOT_HOLDER, or with INVALID_TRANSITION if the run has ended.
        """
        request = ReleaseRequest(run_id=run_id, worker_id=worker_id, attempt=attempt)
        answer = self._call(self.stub.Release, request, timeout)
        return answer.run
