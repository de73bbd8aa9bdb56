"""Dispatch: executors claim runs, wait for them, and give them back.

The claims that wait are in memory, the runs that they wait for only in the store. A run that becomes claimable wakes
one waiting claim, which then takes part in a batch like every other claim.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.commit.command import Command, HandOut
from runsvc.core import attempts
from runsvc.core.errors import CorruptRow, RunsvcError, ServerDraining
from runsvc.core.model import RunStatus
from runsvc.store.queries import ById
from runsvc.usecases.waiting_claims import WaitingClaim, WaitingClaims

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from runsvc.commit.candidates import Wanted
    from runsvc.commit.group_commit import Committed
    from runsvc.commit.transaction import Transaction
    from runsvc.commit.writer import Writer
    from runsvc.core.model import Run
    from runsvc.core.owners import Scope

_log = logging.getLogger(__name__)

#: Bytes of the runs of one answer, unless its first run alone is larger.
ANSWER_BYTES: Final = 1 << 20
#: Approximate bytes that a claimed run adds to a batch.
_RUN_COST: Final = 1_000


class Claim(NamedTuple):
    """A request for runs."""

    wanted: Wanted
    max_runs: int
    lease_ttl: timedelta
    #: The longest time to wait for a run, in seconds.
    wait: float
    #: Identifies a repeated call of the same worker; None: not repeatable.
    request_id: str | None


class Claimed(NamedTuple):
    """A run that was handed out, with its kwargs."""

    run: Run
    kwargs: bytes


class Answer(NamedTuple):
    """The runs that a claim got."""

    runs: Sequence[Claimed] = ()
    #: An earlier call with the same request_id got them.
    replayed: bool = False


class Dispatch:
    """Hands runs to executors. Lives on the event loop."""

    def __init__(self, writer: Writer, waiting: WaitingClaims | None = None) -> None:
        self._writer = writer
        self._waiting = WaitingClaims() if waiting is None else waiting
        self._is_draining = False
        self._releases: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """The number of claims that wait for a run."""
        return len(self._waiting)

    def publish(self, committed: Committed) -> None:
        """Wake one claim for each run that became claimable."""
        if committed.unsettled:
            self._waiting.wake_all()
        for run in committed.claimable:
            self._waiting.wake_one(run)

    def drain(self) -> None:
        """End all waiting and future claims with ServerDraining."""
        self._is_draining = True
        self._waiting.wake_all()

    async def claim(self, claim: Claim) -> Answer:
        """Return runs for a worker, RUNNING under its name; without any, after the wait. Raise ServerDraining.

        If the caller gives up, runs that were already taken for it are released.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + claim.wait
        with self._waiting.enter(claim.wanted) as place:
            while True:
                if self._is_draining:
                    raise ServerDraining
                place.begin_attempt()
                answer = await self._writer.submit(self._command(claim))
                place.end_attempt()
                if answer.runs or not await _woken(place, deadline - loop.time()):
                    return answer

    async def release(
        self, scope: Scope, run_id: str, worker_id: str, attempt: int | None = None
    ) -> Run:
        """Take a run back from its holder. Raise RunNotFound, NotHolder, InvalidTransition."""
        query = ById(run_id, scope)

        def decide(tx: Transaction) -> Run:
            run = tx.run(query)
            released = attempts.release(run, tx.stamp(), worker_id=worker_id, attempt=attempt)
            return tx.save(run, released)

        return await self._writer.submit(Command(decide, (query,), _RUN_COST))

    def give_back(self, answer: Answer) -> None:
        """Release the runs of an answer that its caller will not get."""
        if answer.replayed:
            # The caller may have got the answer of the first call, and perform the runs.
            return
        for claimed in answer.runs:
            task = asyncio.create_task(self._release(claimed.run))
            self._releases.add(task)
            task.add_done_callback(self._releases.discard)

    async def _release(self, run: Run) -> None:
        try:
            await self.release(run.owner, run.run_id, run.worker_id or "", run.attempt)
        except RunsvcError as error:
            _log.warning("Run %s was claimed by a caller that has gone: %s", run.run_id, error)

    def _command(self, claim: Claim) -> HandOut[Answer]:
        def decide(tx: Transaction) -> Answer:
            return _hand_out(tx, claim)

        return HandOut(decide, (), _RUN_COST * claim.max_runs, lost=self.give_back)


async def _woken(place: WaitingClaim, seconds: float) -> bool:
    """Wait until the claim is woken; return False after the time."""
    if seconds <= 0:
        return False
    try:
        async with asyncio.timeout(seconds):
            await place.woken.wait()
    except TimeoutError:
        return False
    return True


def _hand_out(tx: Transaction, claim: Claim) -> Answer:
    if claim.request_id is not None and (earlier := _claimed_earlier(tx, claim, claim.request_id)):
        return Answer(earlier, replayed=True)
    taken: list[Claimed] = []
    size = 0
    for run_id in tx.candidates.take(claim.wanted, claim.max_runs):
        if (run := _find(tx, run_id)) is None:
            continue
        if not attempts.is_claimable(run, claim.wanted.worker_id):
            continue
        kwargs = tx.kwargs(run_id)
        taken.append(Claimed(_start(tx, run, claim), kwargs))
        size += len(kwargs) + len(run.metadata)
        if len(taken) == claim.max_runs or size >= ANSWER_BYTES:
            break
    return Answer(taken)


def _start(tx: Transaction, run: Run, claim: Claim) -> Run:
    started = attempts.claim(
        run,
        tx.stamp(),
        worker_id=claim.wanted.worker_id,
        ttl=claim.lease_ttl,
        claim_id=claim.request_id,
    )
    return tx.save(run, started)


def _claimed_earlier(tx: Transaction, claim: Claim, request_id: str) -> list[Claimed]:
    """The runs that an earlier call with this request_id handed to the same worker, and that it still holds."""
    wanted = claim.wanted
    found = (_find(tx, run_id) for run_id in tx.claimed(request_id))
    return [
        Claimed(run, tx.kwargs(run.run_id))
        for run in found
        if run is not None
        and run.status is RunStatus.RUNNING
        and (run.claim_id, run.worker_id) == (request_id, wanted.worker_id)
        and wanted.owner in (None, run.owner)
    ]


def _find(tx: Transaction, run_id: str) -> Run | None:
    """A run; None if it cannot be read. Then it stays where it is until an operator removes it."""
    try:
        return tx.find(run_id)
    except CorruptRow:
        return None
