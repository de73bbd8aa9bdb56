"""Checks that runs were handed out rightly. Knows the contract only, and shares no code with the server.

The log must show for each run one life, attempts that grow by one, a way back before each further attempt, and an end.
Each answer that a claimer received must be a step of the log, and each attempt must have gone to one worker.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.history.hand_outs import Step, Took

PENDING, RUNNING, SUCCESS, ERROR = 1, 2, 3, 4
QUEUED = 7
_ACTIVE = (PENDING, RUNNING)
_LIVE = (QUEUED, PENDING, RUNNING)
_MOVES = {
    None: (QUEUED, PENDING),
    QUEUED: (PENDING,),
    PENDING: (RUNNING,),
    RUNNING: (PENDING, SUCCESS, ERROR),
}


def violations(steps: Sequence[Step], taken: Sequence[Took], expected: int) -> list[str]:
    """Descriptions of everything wrong in a history in which all of the expected runs have ended."""
    lives = defaultdict[str, list["Step"]](list)
    for step in steps:
        lives[step.run_id].append(step)
    found = [
        *_numbering(steps),
        *(text for life in lives.values() for text in _life(life)),
        *_threads(steps),
        *_answers(steps, taken),
        *_winners(taken),
        *_order(taken),
    ]
    if len(lives) != expected:
        found.append(f"{expected} runs were created, the log has {len(lives)}")
    return found


def _numbering(steps: Sequence[Step]) -> Iterator[str]:
    if [step.revision for step in steps] != list(range(1, len(steps) + 1)):
        yield "the revisions of the log have gaps"


def _life(life: Sequence[Step]) -> Iterator[str]:
    """One run: from its creation to one end, one attempt after the other."""
    status: int | None = None
    attempt = 0
    for step in life:
        if step.previous_status != status or step.status not in _MOVES.get(status, ()):
            yield f"a run moved from {status} to {step.status}: {step}"
        starts = step.status == RUNNING
        if step.attempt != attempt + starts:
            yield f"attempt {step.attempt} came after {attempt}: {step}"
        if starts and (step.fencing_token != step.revision or not step.worker_id):
            yield f"a start without its own token or without a worker: {step}"
        if step.status == PENDING and step.attempt and not step.reason:
            yield f"a run came back without a reason: {step}"
        status, attempt = step.status, step.attempt
    last = life[-1]
    counted = last.attempt - last.released
    if last.status in _LIVE:
        yield f"a run never ended: {last}"
    elif last.status == ERROR and counted != last.max_attempts:
        yield f"a run failed after {counted} attempts: {last}"
    elif counted > last.max_attempts:
        yield f"a run had too many attempts: {last}"


def _threads(steps: Sequence[Step]) -> Iterator[str]:
    """Tokens grow along a thread, and runs that wait for each other are active one after the other, in order."""
    tokens = defaultdict[tuple[str, str], int](int)
    live = defaultdict[tuple[str, str], dict[str, int]](dict)
    for step in steps:
        thread = step.owner, step.thread_id
        if step.status == RUNNING:
            if step.fencing_token <= tokens[thread]:
                yield f"token {step.fencing_token} came after {tokens[thread]}: {step}"
            tokens[thread] = step.fencing_token
        if not step.in_thread_order:
            continue
        if step.status in _LIVE:
            live[thread][step.run_id] = step.status
        else:
            live[thread].pop(step.run_id, None)
        active = [run_id for run_id, status in live[thread].items() if status in _ACTIVE]
        if len(active) > 1 or active != list(live[thread])[: len(active)]:
            yield f"runs of a thread were active together or in another order: {active}, {step}"


def _answers(steps: Sequence[Step], taken: Sequence[Took]) -> Iterator[str]:
    """Every answer is a step of the log. An answer about a run that had moved on would be of another step."""
    log = {step.revision: step for step in steps}
    for took in taken:
        step = log.get(took.revision)
        facts = took.run_id, took.attempt, took.fencing_token, took.status
        if step is None or facts != (step.run_id, step.attempt, step.fencing_token, step.status):
            yield f"an answer is not in the log: {took}"
            continue
        if took.kind in ("claim", "end") and step.worker_id != took.worker_id:
            yield f"the log has another worker: {took}, {step}"
        if (took.kind == "claim") != (step.status == RUNNING):
            yield f"a call had another effect: {took}, {step}"


def _winners(taken: Sequence[Took]) -> Iterator[str]:
    """Each attempt was handed to one call, and had one outcome. Repeated calls get the same answer."""
    calls: dict[tuple[str, int], tuple[str, str]] = {}
    outcomes: dict[tuple[str, int], tuple[str, int]] = {}
    for took in taken:
        attempt = took.run_id, took.attempt
        if took.kind == "claim":
            call = took.worker_id, took.request_id
            if calls.setdefault(attempt, call) != call:
                yield f"an attempt was handed out twice: {calls[attempt]}, {took}"
        else:
            outcome = took.worker_id, took.revision
            if outcomes.setdefault(attempt, outcome) != outcome:
                yield f"an attempt had two outcomes: {outcomes[attempt]}, {took}"


def _order(taken: Iterable[Took]) -> Iterator[str]:
    """A change that was answered before another call began comes first in the log."""
    firsts: dict[tuple[str, int], Took] = {}
    for took in sorted(taken, key=lambda each: each.begin):
        # A repeated call may get the answer of the first one.
        firsts.setdefault((took.run_id, took.revision), took)
    ended: list[tuple[int, int]] = []
    least = 0
    for took in firsts.values():
        while ended and ended[0][0] < took.begin:
            least = max(least, heapq.heappop(ended)[1])
        if took.revision <= least:
            yield f"a change is older than one that was answered before the call: {took}"
        heapq.heappush(ended, (took.end, took.revision))
