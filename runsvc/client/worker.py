"""The options and the health of a worker. No call is made here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from google.protobuf.struct_pb2 import Struct
from grpc import StatusCode

from runsvc.client.lengths import duration, patience
from runsvc.client.retry_window import is_transient

if TYPE_CHECKING:
    from datetime import datetime

    from runsvc.client.error import RunError
    from runsvc.client.structs import JsonObject

GRACE: Final = 30.0
"""Default time in which the runs of a worker that stops may finish, in seconds."""

#: The server hands out at most so many runs at a time.
_MOST_RUNS: Final = 32
_MOST_ASSISTANTS: Final = 16


class WorkerState(StrEnum):
    """What a worker does."""

    STARTING = "starting"
    """No claim was answered yet."""
    WORKING = "working"
    """It claims runs and executes them."""
    DISCONNECTED = "disconnected"
    """Its last claim failed, and is repeated. Its runs go on."""
    DRAINING = "draining"
    """It claims no more, and waits for its runs."""
    STOPPED = "stopped"
    """It has ended."""


@dataclass(frozen=True)
class WorkerHealth:
    """The health of a worker."""

    state: WorkerState
    running: int
    """How many runs it executes."""
    last_claim_at: datetime | None = None
    """When a claim was last answered, with or without runs. None: not yet."""
    disconnected_since: datetime | None = None
    """Since when no claim is answered: there is no server, or it refuses for now. None: the last one was answered."""
    failure: RunError | None = None
    """The failure of the last claim. None: it was answered."""


@dataclass(frozen=True)
class WorkerOptions:
    """The options of a worker. Raises ValueError for those that the server would refuse."""

    assistants: tuple[str, ...]
    any_assistant: bool
    concurrency: int
    worker_id: str
    lease_ttl: float
    grace: float
    wait: float
    outage: float | None
    fence: bool
    retry_on: tuple[type[Exception], ...]

    def __post_init__(self) -> None:
        self._check_assistants()
        if self.concurrency < 1:
            raise ValueError(f"concurrency is {self.concurrency}. Set it to 1 or more")
        if not 1 <= self.lease_ttl <= 3_600:
            raise ValueError(f"lease_ttl is {self.lease_ttl!r}. Set it to 1 to 3600 seconds")
        if not 0 <= self.wait <= 60:
            raise ValueError(f"wait is {self.wait!r}. Set it to 0 to 60 seconds")
        patience(self.grace, "grace")
        if self.outage is not None:
            patience(self.outage)
        duration(self.lease_ttl, "lease_ttl")

    def _check_assistants(self) -> None:
        count = len(self.assistants)
        if self.any_assistant and count:
            raise ValueError("any_assistant is set. Omit assistants")
        if not self.any_assistant and not 1 <= count <= _MOST_ASSISTANTS:
            raise ValueError(
                f"assistants has {count} names. Give 1 to {_MOST_ASSISTANTS}, or set any_assistant"
            )

    def claimable(self, running: int) -> int:
        """Return how many runs to ask for: as many as there are free slots, at most 32."""
        return min(self.concurrency - running, _MOST_RUNS)


def is_outage(error: RunError, *, was_admitted: bool) -> bool:
    """Return whether claims go on after this failure.

    A credential that the server accepted before may have expired, and be replaced. One that it never accepted is wrong.
    """
    if error.code is StatusCode.UNAUTHENTICATED:
        return was_admitted
    return is_transient(error)


def lease_begin(sent: float, answered: float, wait: float, *, is_unsure: bool) -> float:
    """Return the earliest time from which the lease of claimed runs may count.

    An answer that arrives in time was sent when the runs were taken. Not so that of a repeated claim, which may return
    the runs of an earlier one; and a fence must not rely on it.
    """
    is_late = answered - sent > wait + 1
    return sent if is_unsure or is_late else answered


def checked_result(result: object) -> JsonObject | None:
    """Return what a handler returned. Raise TypeError unless it is a JSON object or None."""
    if result is None or isinstance(result, (Mapping, Struct)):
        return result
    raise TypeError(
        f"The handler returned {type(result).__name__}. Return a dict, which is the result of the run, or None."
    )


def grace_of(grace: float | None, default: float) -> float:
    """Return the grace of a stop. math.inf waits for ever."""
    return default if grace is None else min(patience(grace, "grace"), math.inf)
