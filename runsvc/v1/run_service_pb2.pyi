import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from runsvc.v1 import run_pb2 as _run_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateRequest(_message.Message):
    __slots__ = ("request_id", "spec")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    spec: _run_pb2.RunSpec
    def __init__(self, request_id: _Optional[str] = ..., spec: _Optional[_Union[_run_pb2.RunSpec, _Mapping]] = ...) -> None: ...

class CreateResponse(_message.Message):
    __slots__ = ("run", "replayed")
    RUN_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    replayed: bool
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ..., replayed: bool = ...) -> None: ...

class CreateOrRejectRequest(_message.Message):
    __slots__ = ("request_id", "spec")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    spec: _run_pb2.RunSpec
    def __init__(self, request_id: _Optional[str] = ..., spec: _Optional[_Union[_run_pb2.RunSpec, _Mapping]] = ...) -> None: ...

class CreateOrRejectResponse(_message.Message):
    __slots__ = ("run", "replayed", "superseded")
    RUN_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    SUPERSEDED_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    replayed: bool
    superseded: _containers.RepeatedCompositeFieldContainer[_run_pb2.Run]
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ..., replayed: bool = ..., superseded: _Optional[_Iterable[_Union[_run_pb2.Run, _Mapping]]] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ...) -> None: ...

class ListByThreadRequest(_message.Message):
    __slots__ = ("thread_id", "page_size", "page_token", "statuses")
    THREAD_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    thread_id: str
    page_size: int
    page_token: str
    statuses: _containers.RepeatedScalarFieldContainer[_run_pb2.RunStatus]
    def __init__(self, thread_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., statuses: _Optional[_Iterable[_Union[_run_pb2.RunStatus, str]]] = ...) -> None: ...

class ListByThreadResponse(_message.Message):
    __slots__ = ("runs", "next_page_token")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[_run_pb2.Run]
    next_page_token: str
    def __init__(self, runs: _Optional[_Iterable[_Union[_run_pb2.Run, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class HasInflightRequest(_message.Message):
    __slots__ = ("thread_id",)
    THREAD_ID_FIELD_NUMBER: _ClassVar[int]
    thread_id: str
    def __init__(self, thread_id: _Optional[str] = ...) -> None: ...

class HasInflightResponse(_message.Message):
    __slots__ = ("has_inflight", "run_ids", "queued_run_ids")
    HAS_INFLIGHT_FIELD_NUMBER: _ClassVar[int]
    RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    QUEUED_RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    has_inflight: bool
    run_ids: _containers.RepeatedScalarFieldContainer[str]
    queued_run_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, has_inflight: bool = ..., run_ids: _Optional[_Iterable[str]] = ..., queued_run_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class SetStatusRequest(_message.Message):
    __slots__ = ("run_id", "status", "error", "worker_id", "lease_ttl", "result", "stop_reason", "attempt", "retryable")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_TTL_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    STOP_REASON_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    status: _run_pb2.RunStatus
    error: str
    worker_id: str
    lease_ttl: _duration_pb2.Duration
    result: _struct_pb2.Struct
    stop_reason: str
    attempt: int
    retryable: bool
    def __init__(self, run_id: _Optional[str] = ..., status: _Optional[_Union[_run_pb2.RunStatus, str]] = ..., error: _Optional[str] = ..., worker_id: _Optional[str] = ..., lease_ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., result: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., stop_reason: _Optional[str] = ..., attempt: _Optional[int] = ..., retryable: bool = ...) -> None: ...

class SetStatusResponse(_message.Message):
    __slots__ = ("run", "changed")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    changed: bool
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ..., changed: bool = ...) -> None: ...

class CompleteRequest(_message.Message):
    __slots__ = ("run_id", "status", "error", "progress", "worker_id", "result", "stop_reason", "attempt", "retryable")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    STOP_REASON_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    status: _run_pb2.RunStatus
    error: str
    progress: _run_pb2.Progress
    worker_id: str
    result: _struct_pb2.Struct
    stop_reason: str
    attempt: int
    retryable: bool
    def __init__(self, run_id: _Optional[str] = ..., status: _Optional[_Union[_run_pb2.RunStatus, str]] = ..., error: _Optional[str] = ..., progress: _Optional[_Union[_run_pb2.Progress, _Mapping]] = ..., worker_id: _Optional[str] = ..., result: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., stop_reason: _Optional[str] = ..., attempt: _Optional[int] = ..., retryable: bool = ...) -> None: ...

class CompleteResponse(_message.Message):
    __slots__ = ("run", "changed")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    changed: bool
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ..., changed: bool = ...) -> None: ...

class UpdateProgressRequest(_message.Message):
    __slots__ = ("run_id", "progress", "sequence", "final", "worker_id", "attempt")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    progress: _run_pb2.Progress
    sequence: int
    final: bool
    worker_id: str
    attempt: int
    def __init__(self, run_id: _Optional[str] = ..., progress: _Optional[_Union[_run_pb2.Progress, _Mapping]] = ..., sequence: _Optional[int] = ..., final: bool = ..., worker_id: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class UpdateProgressResponse(_message.Message):
    __slots__ = ("run", "applied")
    RUN_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    applied: bool
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ..., applied: bool = ...) -> None: ...

class UpdateModelNameRequest(_message.Message):
    __slots__ = ("run_id", "model_name")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    model_name: str
    def __init__(self, run_id: _Optional[str] = ..., model_name: _Optional[str] = ...) -> None: ...

class UpdateModelNameResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ...) -> None: ...

class UpdateMetadataRequest(_message.Message):
    __slots__ = ("run_id", "set", "remove")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SET_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    set: _struct_pb2.Struct
    remove: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, run_id: _Optional[str] = ..., set: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., remove: _Optional[_Iterable[str]] = ...) -> None: ...

class UpdateMetadataResponse(_message.Message):
    __slots__ = ("run", "changed")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    changed: bool
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ..., changed: bool = ...) -> None: ...

class HeartbeatRequest(_message.Message):
    __slots__ = ("run_id", "worker_id", "attempt")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    worker_id: str
    attempt: int
    def __init__(self, run_id: _Optional[str] = ..., worker_id: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class HeartbeatResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ...) -> None: ...

class CancelRequest(_message.Message):
    __slots__ = ("run_id", "action", "note")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    action: _run_pb2.CancelAction
    note: str
    def __init__(self, run_id: _Optional[str] = ..., action: _Optional[_Union[_run_pb2.CancelAction, str]] = ..., note: _Optional[str] = ...) -> None: ...

class CancelResponse(_message.Message):
    __slots__ = ("run", "outcome")
    RUN_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    outcome: _run_pb2.CancelOutcome
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ..., outcome: _Optional[_Union[_run_pb2.CancelOutcome, str]] = ...) -> None: ...

class AcknowledgeCancelRequest(_message.Message):
    __slots__ = ("run_id", "worker_id", "progress", "stop_reason", "attempt")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    STOP_REASON_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    worker_id: str
    progress: _run_pb2.Progress
    stop_reason: str
    attempt: int
    def __init__(self, run_id: _Optional[str] = ..., worker_id: _Optional[str] = ..., progress: _Optional[_Union[_run_pb2.Progress, _Mapping]] = ..., stop_reason: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class AcknowledgeCancelResponse(_message.Message):
    __slots__ = ("run", "changed")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    changed: bool
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ..., changed: bool = ...) -> None: ...

class StreamStatusRequest(_message.Message):
    __slots__ = ("run_id", "thread_id", "all", "after_revision", "store_id", "include_progress", "heartbeat_interval", "attach", "until_acknowledged")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    THREAD_ID_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    AFTER_REVISION_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    ATTACH_FIELD_NUMBER: _ClassVar[int]
    UNTIL_ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    thread_id: str
    all: _run_pb2.AllRuns
    after_revision: int
    store_id: str
    include_progress: bool
    heartbeat_interval: _duration_pb2.Duration
    attach: bool
    until_acknowledged: bool
    def __init__(self, run_id: _Optional[str] = ..., thread_id: _Optional[str] = ..., all: _Optional[_Union[_run_pb2.AllRuns, _Mapping]] = ..., after_revision: _Optional[int] = ..., store_id: _Optional[str] = ..., include_progress: bool = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., attach: bool = ..., until_acknowledged: bool = ...) -> None: ...

class StreamStatusResponse(_message.Message):
    __slots__ = ("event", "revision", "run", "previous_status", "more", "store_id")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_STATUS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    event: _run_pb2.StatusEvent
    revision: int
    run: _run_pb2.Run
    previous_status: _run_pb2.RunStatus
    more: bool
    store_id: str
    def __init__(self, event: _Optional[_Union[_run_pb2.StatusEvent, str]] = ..., revision: _Optional[int] = ..., run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ..., previous_status: _Optional[_Union[_run_pb2.RunStatus, str]] = ..., more: bool = ..., store_id: _Optional[str] = ...) -> None: ...

class ClaimRequest(_message.Message):
    __slots__ = ("worker_id", "assistant_ids", "max_runs", "lease_ttl", "wait", "request_id", "any_assistant")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    ASSISTANT_IDS_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNS_FIELD_NUMBER: _ClassVar[int]
    LEASE_TTL_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ANY_ASSISTANT_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    assistant_ids: _containers.RepeatedScalarFieldContainer[str]
    max_runs: int
    lease_ttl: _duration_pb2.Duration
    wait: _duration_pb2.Duration
    request_id: str
    any_assistant: bool
    def __init__(self, worker_id: _Optional[str] = ..., assistant_ids: _Optional[_Iterable[str]] = ..., max_runs: _Optional[int] = ..., lease_ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., request_id: _Optional[str] = ..., any_assistant: bool = ...) -> None: ...

class ClaimResponse(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[_run_pb2.Run]
    def __init__(self, runs: _Optional[_Iterable[_Union[_run_pb2.Run, _Mapping]]] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("run_id", "worker_id", "attempt")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    worker_id: str
    attempt: int
    def __init__(self, run_id: _Optional[str] = ..., worker_id: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class ReleaseResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ...) -> None: ...
