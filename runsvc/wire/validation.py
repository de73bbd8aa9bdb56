"""Validation of requests: each check takes a field of a request and returns the value that the use-cases take.

A check that finds a fault notes it and returns a valid substitute, so that one answer names every fault of a request.
Creations are checked in creation.py, watches in watch_request.py.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from runsvc.core.model import ACTIVE, CancelAction, Progress, RunStatus
from runsvc.core.progress import FIGURES, MODELS_LIMIT
from runsvc.wire import page_token
from runsvc.wire.fields import Fields, Lengths
from runsvc.wire.usage import progress_from

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from google.protobuf.message import Message

    from runsvc.core.model import ModelUsage
    from runsvc.store.queries import PageKey
    from runsvc.v1 import admin_service_pb2, run_service_pb2

    ProgressReport = (
        run_service_pb2.CompleteRequest
        | run_service_pb2.UpdateProgressRequest
        | run_service_pb2.AcknowledgeCancelRequest
    )

# Sizes in bytes, lengths in characters.
ERROR_BYTES: Final = 16 << 10
NOTE_BYTES: Final = 1 << 10
MODEL_NAME_LENGTH: Final = 128
STOP_REASON_LENGTH: Final = 128

#: The end of a text that was cut.
CUT: Final = " … (cut)"
_NAME_FAULT: Final = "a name must not be empty, nor have white space around it"

PAGE_SIZE: Final = 100
MAX_PAGE_SIZE: Final = 500
MAX_ORPHANS: Final = 1_000
MAX_WIDTH: Final = 1_000_000

#: Integers of the store are signed.
MAX_INTEGER: Final = 2**63 - 1

_LEASE_TTLS: Final = Lengths(timedelta(seconds=1), timedelta(hours=1), "must be 1 second to 1 hour")

_STATUSES: Final = {int(member): member for member in RunStatus}

#: The counters of a progress report.
_COUNTERS: Final = (
    "total_input_tokens",
    "total_output_tokens",
    "total_tokens",
    "llm_call_count",
    "lead_agent_tokens",
    "subagent_tokens",
    "middleware_tokens",
    "message_count",
)


def _cut(text: str) -> str:
    """The text within ERROR_BYTES. A longer one is cut at a character and says so."""
    # A character has 1 to 4 bytes.
    if len(text) * 4 <= ERROR_BYTES or len(encoded := text.encode()) <= ERROR_BYTES:
        return text
    return encoded[: ERROR_BYTES - len(CUT.encode())].decode(errors="ignore") + CUT


class Check(Fields):
    """Checks one request. Leaving the block raises InvalidRequest with every violation."""

    def run_id(self, value: str) -> str:
        """The run that the request names."""
        return self.identifier("run_id", value)

    def thread_id(self, value: str) -> str:
        """The thread that the request names."""
        return self.identifier("thread_id", value)

    def worker_id(self, value: str) -> str:
        """The worker of a request that must name one."""
        return self.identifier("worker_id", value)

    def optional_worker_id(self, request: Message) -> str | None:
        """The reporting worker, if named."""
        return self.optional_identifier(request, "worker_id")

    def status(self, number: int) -> RunStatus:
        """A required status."""
        if number in _STATUSES:
            return _STATUSES[number]
        self.fault("status", "is required" if not number else "is not a status")
        # Terminal, so that an error beside it is not a violation as well.
        return RunStatus.ERROR

    def terminal_status(self, number: int) -> RunStatus:
        """A required status that ends a run."""
        status = self.status(number)
        if not status.terminal:
            self.fault("status", "must be terminal")
        return status

    def statuses(self, numbers: Collection[int]) -> frozenset[RunStatus]:
        """The statuses to list; empty for all."""
        wanted = set(numbers)
        if not wanted <= _STATUSES.keys():
            self.fault("statuses", "has a number that is not a status")
        return frozenset(_STATUSES[number] for number in wanted & _STATUSES.keys())

    def active_statuses(self, numbers: Collection[int]) -> frozenset[RunStatus]:
        """The statuses of orphans; both active ones if empty."""
        wanted = self.statuses(numbers) or ACTIVE
        if not wanted <= ACTIVE:
            self.fault("statuses", "must be PENDING or RUNNING: all other runs have ended")
        return wanted & ACTIVE

    def action(self, number: int) -> CancelAction:
        """The treatment of a cancelled run's state; INTERRUPT if unset."""
        return self.member("action", number, CancelAction.INTERRUPT)

    def error(self, request: Message, status: RunStatus) -> str | None:
        """The error text of a terminal status, cut: an end is never refused because its text is long."""
        error: str = request.error  # type: ignore[attr-defined]
        if error and not status.terminal:
            self.fault("error", "needs a terminal status")
        return _cut(error) or None

    def stop_reason(self, request: Message) -> str | None:
        """The executor's word for the end, trimmed; None if empty."""
        word: str = request.stop_reason.strip()  # type: ignore[attr-defined]
        return self.line("stop_reason", word, STOP_REASON_LENGTH) or None

    def note(self, request: Message) -> str | None:
        """The reason for a cancel."""
        return self.optional_text(request, "note", NOTE_BYTES)

    def orphan_error(self, value: str, default: str) -> str:
        """The error text of reconciled runs. A long one is refused: an operator can shorten it and repeat the call."""
        self.size("error", len(value.encode()), ERROR_BYTES)
        return value or default

    def model_name(self, message: Message, prefix: str = "") -> str | None:
        """A model name, trimmed; None if empty."""
        name: str = message.model_name.strip()  # type: ignore[attr-defined]
        return self.line(f"{prefix}model_name", name, MODEL_NAME_LENGTH) or None

    def progress(self, request: ProgressReport) -> Progress | None:
        """The reported usage; None if unset."""
        if not request.HasField("progress"):
            return None
        progress = progress_from(request.progress)
        for name in _COUNTERS:
            if (getattr(progress, name) or 0) < 0:
                self.fault(f"progress.{name}", "must not be negative")
        if progress.by_model is not None:
            self._by_model(progress.by_model)
        return progress

    def _by_model(self, by_model: Mapping[str, ModelUsage]) -> None:
        field = "progress.by_model"
        if len(by_model) > MODELS_LIMIT:
            self.fault(field, f"has {len(by_model)} models; the limit is {MODELS_LIMIT}")
            return
        for name, usage in sorted(by_model.items()):
            if not name or name != name.strip():
                self.fault(field, f"has the name {name[:MODEL_NAME_LENGTH]!r}: {_NAME_FAULT}")
            self.line(field, name, MODEL_NAME_LENGTH)
            if any((getattr(usage, figure) or 0) < 0 for figure in FIGURES):
                self.fault(field, f"has a negative figure for {name[:MODEL_NAME_LENGTH]!r}")

    def sequence(self, request: run_service_pb2.UpdateProgressRequest) -> int | None:
        """The sequence number of a progress report; None if unset."""
        if not request.HasField("sequence"):
            return None
        if request.sequence > MAX_INTEGER:
            self.fault("sequence", "must be below 2^63")
        return request.sequence

    def lease_ttl(
        self, message: Message, worker_id: str | None, prefix: str = ""
    ) -> timedelta | None:
        """The length of a lease; None for no lease."""
        ttl = self.duration(message, "lease_ttl", _LEASE_TTLS, prefix)
        if ttl is not None and worker_id is None:
            self.fault(f"{prefix}lease_ttl", "needs a worker_id")
        return ttl

    def start_lease_ttl(
        self, request: Message, worker_id: str | None, status: RunStatus
    ) -> timedelta | None:
        """The length of the lease of a run that starts; None for no lease."""
        ttl = self.lease_ttl(request, worker_id)
        if ttl is not None and status is not RunStatus.RUNNING:
            self.fault("lease_ttl", "needs the status RUNNING")
        return ttl

    def width(self, request: admin_service_pb2.SetConcurrencyLimitRequest) -> int | None:
        """The width of a concurrency limit; None to remove it."""
        if not request.HasField("width"):
            return None
        if not 0 <= request.width <= MAX_WIDTH:
            self.fault("width", f"must be 0 to {MAX_WIDTH}")
        return request.width

    def page_size(self, value: int) -> int:
        """The most runs of a page."""
        return self.count("page_size", value, PAGE_SIZE, MAX_PAGE_SIZE)

    def limit(self, value: int) -> int:
        """The most orphans to reconcile."""
        return self.count("limit", value, MAX_ORPHANS, MAX_ORPHANS)

    def page_token(
        self, token: str, *, owner: str, thread_id: str, statuses: frozenset[RunStatus]
    ) -> PageKey | None:
        """The position in a page token; None for the first page."""
        if not token:
            return None
        try:
            return page_token.decode(token, owner=owner, thread_id=thread_id, statuses=statuses)
        except ValueError:
            self.fault("page_token", "is not a token of this list")
            return None

    def before(self, request: Message) -> datetime | None:
        """The time up to which runs count as orphans; None if unset."""
        return self.time(request, "before")

    def attempt(self, request: Message) -> int | None:
        """The attempt that a report belongs to; None if unset."""
        return request.attempt if request.HasField("attempt") else None  # type: ignore[attr-defined]

    def retryable(self, value: bool, status: RunStatus) -> bool:
        """Whether a reported ERROR may be followed by another attempt."""
        if value and status is not RunStatus.ERROR:
            self.fault("retryable", "needs the status ERROR")
        return value
