"""Recorded hand-outs of runs: what claimers received and reported, and the log with the attempts of each run."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Literal, NamedTuple

from runsvc.v1.run_pb2 import Run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Kind = Literal["claim", "end", "release", "fail"]


class Took(NamedTuple):
    """A call that a claimer made and whose answer it received. Times are nanoseconds that all processes share."""

    kind: Kind
    begin: int
    end: int
    worker_id: str
    run_id: str
    attempt: int
    #: The revision of the run in the answer.
    revision: int
    fencing_token: int
    status: int
    #: Of a claim: a repeated call has the same, and gets the same runs.
    request_id: str = ""


class Step(NamedTuple):
    """An entry of the log."""

    revision: int
    run_id: str
    owner: str
    thread_id: str
    status: int
    previous_status: int | None
    reason: int
    worker_id: str
    attempt: int
    fencing_token: int
    max_attempts: int
    released: int
    #: Waits for the runs before it on its thread.
    in_thread_order: bool


def line_of(took: Took) -> str:
    """A call as a line of a recording."""
    return json.dumps(took) + "\n"


def taken_in(lines: Iterable[str]) -> list[Took]:
    """The calls of a recording. A last line that a kill has cut off is left out."""
    return [Took(*json.loads(line)) for line in lines if line.endswith("\n")]


def steps_in(db: Path) -> list[Step]:
    """The log of a store."""
    query = "SELECT revision, run_id, owner, thread_id, status, previous_status, body FROM log ORDER BY revision"
    with closing(sqlite3.connect(db)) as file:
        return [_step(row[:-1], Run.FromString(row[-1])) for row in file.execute(query)]


def _step(columns: tuple[int, str, str, str, int, int | None], run: Run) -> Step:
    return Step(
        *columns,
        reason=int(run.status_reason),
        worker_id=run.worker_id,
        attempt=run.attempt,
        fencing_token=run.fencing_token,
        max_attempts=max(run.retry.max_attempts, 1),
        released=run.retry.released,
        in_thread_order=run.multitask_strategy == 4,
    )
