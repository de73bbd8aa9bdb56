"""The limits of requests: each check takes what came over the wire and gives what the rules below work with.

A check that finds a fault notes it and gives a harmless stand-in, so that one answer names every fault of a request.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from runsvc.core.model import (
    CancelAction,
    DisconnectMode,
    MultitaskStrategy,
    Progress,
    Request,
    RequestKey,
    RunSpec,
    RunStatus,
)
from runsvc.store.base import Topic, TopicKind
from runsvc.watch.stream import WatchRequest
from runsvc.wire import page_token
from runsvc.wire.convert import progress_from, to_datetime
from runsvc.wire.fields import Fields, Lengths
from runsvc.wire.spec_hash import StructFault, plain, spec_hash

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from enum import IntEnum

    from google.protobuf.message import Message
    from google.protobuf.struct_pb2 import Struct

    from runsvc.store.queries import PageKey
    from runsvc.v1 import run_service_pb2
    from runsvc.wire.spec_hash import Json

    AnyEnum = TypeVar("AnyEnum", bound=IntEnum)
    CreationRequest = run_service_pb2.CreateRequest | run_service_pb2.CreateOrRejectRequest
    ProgressReport = (
        run_service_pb2.CompleteRequest
        | run_service_pb2.UpdateProgressRequest
        | run_service_pb2.AcknowledgeCancelRequest
    )

# Sizes in bytes, lengths in characters.
METADATA_BYTES: Final = 64 << 10
KWARGS_BYTES: Final = 1 << 20
ERROR_BYTES: Final = 16 << 10
NOTE_BYTES: Final = 1 << 10
MODEL_NAME_LENGTH: Final = 128
REQUEST_ID_LENGTH: Final = 255

PAGE_SIZE: Final = 100
MAX_PAGE_SIZE: Final = 500
MAX_ORPHANS: Final = 1_000

HEARTBEAT_INTERVAL: Final = 15.0
_LEAST_HEARTBEAT_INTERVAL: Final = 1.0
_MOST_HEARTBEAT_INTERVAL: Final = 300.0

#: A store's integers are signed.
MAX_INTEGER: Final = 2**63 - 1

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_STATUSES: Final = {int(member): member for member in RunStatus}

#: Every field of a progress that counts.
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


_MOMENT: Final = timedelta(microseconds=1)
_LEASE_TTLS: Final = Lengths(timedelta(seconds=1), timedelta(hours=1), "must be 1 second to 1 hour")
_TIMEOUTS: Final = Lengths(_MOMENT, timedelta(days=30), "must be positive and at most 30 days")
_INTERVALS: Final = Lengths(_MOMENT, timedelta.max, "must be positive")


class Draft(NamedTuple):
    """A spec as it was checked, with the plain form of its Structs, which were walked on the way."""

    spec: RunSpec
    metadata: Mapping[str, Json]
    kwargs: Mapping[str, Json]


def creation(
    request: CreationRequest, *, owner: str, method: str
) -> tuple[RunSpec, Request | None]:
    """What a creation asks for, and how to know it again when it is repeated.

    InvalidRequest. Takes as long as metadata and kwargs are large: beyond 64 KiB a matter for a
    thread.
    """
    with Check() as check:
        request_id = check.request_id(request.request_id)
        draft = check.spec(request)
    if not request_id:
        return draft.spec, None
    return draft.spec, Request(RequestKey(owner, method, request_id), spec_hash(*draft))


class Check(Fields):
    """Checks one request: leaving the block raises InvalidRequest with every fault that was found."""

    def run_id(self, value: str) -> str:
        """The run that the request is about."""
        return self._id("run_id", value)

    def thread_id(self, value: str) -> str:
        """The thread that the request is about."""
        return self._id("thread_id", value)

    def worker_id(self, value: str) -> str:
        """The worker of a request that must name one."""
        return self._id("worker_id", value)

    def optional_worker_id(self, request: Message) -> str | None:
        """The worker that reports, if it says so."""
        return self._optional_id(request, "worker_id")

    def request_id(self, value: str) -> str:
        """The id that makes a creation repeatable; empty when there is none."""
        if len(value) > REQUEST_ID_LENGTH:
            self.fault("request_id", f"has more than {REQUEST_ID_LENGTH} characters")
        elif _CONTROL.search(value):
            self.fault("request_id", "has control characters")
        return value

    def status(self, number: int) -> RunStatus:
        """A status that the request must have."""
        if number in _STATUSES:
            return _STATUSES[number]
        self.fault("status", "is required" if not number else "is not a status")
        # Terminal, so that an error beside it is no fault as well.
        return RunStatus.ERROR

    def terminal_status(self, number: int) -> RunStatus:
        """A status that ends a run."""
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

    def action(self, number: int) -> CancelAction:
        """What to do with the state of a cancelled run."""
        return self._enum("action", number, CancelAction.INTERRUPT)

    def error(self, request: Message, status: RunStatus) -> str | None:
        """What went wrong; an active run has nothing to say here."""
        error = self._optional_text(request, "error", ERROR_BYTES)
        if error and not status.terminal:
            self.fault("error", "needs a terminal status")
        return error

    def note(self, request: Message) -> str | None:
        """Why a run is cancelled."""
        return self._optional_text(request, "note", NOTE_BYTES)

    def orphan_error(self, value: str, default: str) -> str:
        """The error of reconciled runs."""
        self._size("error", len(value.encode()), ERROR_BYTES)
        return value or default

    def model_name(self, request: Message) -> str | None:
        """A model's name, trimmed; None clears it."""
        return self._model_name(request, "")

    def progress(self, request: ProgressReport) -> Progress | None:
        """The usage that an executor reports; None without a report."""
        if not request.HasField("progress"):
            return None
        progress = progress_from(request.progress)
        for name in _COUNTERS:
            if (getattr(progress, name) or 0) < 0:
                self.fault(f"progress.{name}", "must not be negative")
        return progress

    def sequence(self, request: run_service_pb2.UpdateProgressRequest) -> int | None:
        """The place of a report among others."""
        if not request.HasField("sequence"):
            return None
        if request.sequence > MAX_INTEGER:
            self.fault("sequence", "must be below 2^63")
        return request.sequence

    def start_lease_ttl(
        self, request: Message, worker_id: str | None, status: RunStatus
    ) -> timedelta | None:
        """How long the lease of a run that starts lasts; None for none."""
        ttl = self._lease_ttl(request, worker_id)
        if ttl is not None and status is not RunStatus.RUNNING:
            self.fault("lease_ttl", "needs the status RUNNING")
        return ttl

    def page_size(self, value: int) -> int:
        """How many runs a page has at most."""
        return self._count("page_size", value, PAGE_SIZE, MAX_PAGE_SIZE)

    def limit(self, value: int) -> int:
        """How many orphans to reconcile at most."""
        return self._count("limit", value, MAX_ORPHANS, MAX_ORPHANS)

    def page_token(
        self, token: str, *, owner: str, thread_id: str, statuses: frozenset[RunStatus]
    ) -> PageKey | None:
        """The position in a page token; None for the first page."""
        if not token:
            return None
        try:
            return page_token.decode(token, owner=owner, thread_id=thread_id, statuses=statuses)
        except ValueError:
            self.fault("page_token", "belongs to another list, or is none of ours")
            return None

    def before(self, request: Message) -> datetime | None:
        """The time after which runs are no orphans yet."""
        if not request.HasField("before"):
            return None
        stamp = request.before  # type: ignore[attr-defined]
        try:
            if not 0 <= stamp.nanos < 1_000_000_000:
                raise ValueError("nanos out of range")
            return to_datetime(stamp)
        except (ValueError, OverflowError):
            self.fault("before", "is not a time of the years 1 to 9999")
            return None

    def watch(self, request: run_service_pb2.StreamStatusRequest, owner: str) -> WatchRequest:
        """What to watch, from where on, and how."""
        topic = self._topic(request, owner)
        for name in ("attach", "until_acknowledged"):
            if getattr(request, name) and topic.kind is not TopicKind.RUN:
                self.fault(name, "needs a run_id")
        return WatchRequest(
            topic=topic,
            after_revision=self._after_revision(request),
            store_id=request.store_id,
            include_progress=request.include_progress,
            heartbeat_interval=self._heartbeat_interval(request),
            until_acknowledged=request.until_acknowledged,
            attach=request.attach,
        )

    def _topic(self, request: run_service_pb2.StreamStatusRequest, owner: str) -> Topic:
        match request.WhichOneof("target"):
            case "run_id":
                return Topic(TopicKind.RUN, owner, self.run_id(request.run_id))
            case "thread_id":
                return Topic(TopicKind.THREAD, owner, self.thread_id(request.thread_id))
            case "all":
                assistant_id = self._optional_id(request.all, "assistant_id", "all.")
                if assistant_id is None:
                    return Topic(TopicKind.ALL, owner)
                return Topic(TopicKind.ASSISTANT, owner, assistant_id)
        self.fault("target", "is required")
        # Of a run, so that flags which need one are no fault as well.
        return Topic(TopicKind.RUN, owner)

    def _after_revision(self, request: run_service_pb2.StreamStatusRequest) -> int | None:
        if not request.HasField("after_revision"):
            return None
        # No store comes this far: it remains a revision that the store does not know.
        return min(request.after_revision, MAX_INTEGER)

    def _heartbeat_interval(self, request: run_service_pb2.StreamStatusRequest) -> float:
        length = self._duration(request, "heartbeat_interval", _INTERVALS)
        if length is None:
            return HEARTBEAT_INTERVAL
        return min(max(length.total_seconds(), _LEAST_HEARTBEAT_INTERVAL), _MOST_HEARTBEAT_INTERVAL)

    def spec(self, request: CreationRequest) -> Draft:
        """What to create."""
        if not request.HasField("spec"):
            self.fault("spec", "is required")
            return Draft(RunSpec(thread_id=""), {}, {})
        spec = request.spec
        worker_id = self._optional_id(spec, "worker_id", "spec.")
        return Draft(
            RunSpec(
                thread_id=self._id("spec.thread_id", spec.thread_id),
                assistant_id=self._optional_id(spec, "assistant_id", "spec."),
                on_disconnect=self._enum(
                    "spec.on_disconnect", spec.on_disconnect, DisconnectMode.CANCEL
                ),
                multitask_strategy=self._enum(
                    "spec.multitask_strategy", spec.multitask_strategy, MultitaskStrategy.REJECT
                ),
                model_name=self._model_name(spec, "spec."),
                worker_id=worker_id,
                lease_ttl=self._lease_ttl(spec, worker_id, "spec."),
                start_timeout=self._duration(spec, "start_timeout", _TIMEOUTS, "spec."),
                timeout=self._duration(spec, "timeout", _TIMEOUTS, "spec."),
                metadata=spec.metadata.SerializeToString(),
                kwargs=spec.kwargs.SerializeToString(),
            ),
            self._struct("spec.metadata", spec.metadata, METADATA_BYTES),
            self._struct("spec.kwargs", spec.kwargs, KWARGS_BYTES),
        )

    def _lease_ttl(
        self, message: Message, worker_id: str | None, prefix: str = ""
    ) -> timedelta | None:
        ttl = self._duration(message, "lease_ttl", _LEASE_TTLS, prefix)
        if ttl is not None and worker_id is None:
            self.fault(f"{prefix}lease_ttl", "needs a worker_id")
        return ttl

    def _struct(self, field: str, struct: Struct, limit: int) -> Mapping[str, Json]:
        if not self._size(field, struct.ByteSize(), limit):
            return {}
        try:
            return plain(struct)
        except StructFault as fault:
            self.fault(field, str(fault))
            return {}

    def _model_name(self, message: Message, prefix: str) -> str | None:
        name: str = message.model_name.strip()  # type: ignore[attr-defined]
        if len(name) > MODEL_NAME_LENGTH:
            self.fault(f"{prefix}model_name", f"has more than {MODEL_NAME_LENGTH} characters")
        elif _CONTROL.search(name):
            self.fault(f"{prefix}model_name", "has control characters")
        return name or None
