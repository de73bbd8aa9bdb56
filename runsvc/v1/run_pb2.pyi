import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STATUS_UNSPECIFIED: _ClassVar[RunStatus]
    RUN_STATUS_PENDING: _ClassVar[RunStatus]
    RUN_STATUS_RUNNING: _ClassVar[RunStatus]
    RUN_STATUS_SUCCESS: _ClassVar[RunStatus]
    RUN_STATUS_ERROR: _ClassVar[RunStatus]
    RUN_STATUS_TIMEOUT: _ClassVar[RunStatus]
    RUN_STATUS_INTERRUPTED: _ClassVar[RunStatus]
    RUN_STATUS_QUEUED: _ClassVar[RunStatus]

class StatusReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATUS_REASON_UNSPECIFIED: _ClassVar[StatusReason]
    STATUS_REASON_CANCEL_REQUESTED: _ClassVar[StatusReason]
    STATUS_REASON_SUPERSEDED: _ClassVar[StatusReason]
    STATUS_REASON_CLIENT_DISCONNECTED: _ClassVar[StatusReason]
    STATUS_REASON_LEASE_EXPIRED: _ClassVar[StatusReason]
    STATUS_REASON_ORPHANED: _ClassVar[StatusReason]
    STATUS_REASON_TIMEOUT_EXCEEDED: _ClassVar[StatusReason]
    STATUS_REASON_START_TIMEOUT_EXCEEDED: _ClassVar[StatusReason]
    STATUS_REASON_QUEUE_TIMEOUT_EXCEEDED: _ClassVar[StatusReason]
    STATUS_REASON_RETRYABLE_ERROR: _ClassVar[StatusReason]
    STATUS_REASON_RELEASED: _ClassVar[StatusReason]

class CancelAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CANCEL_ACTION_UNSPECIFIED: _ClassVar[CancelAction]
    CANCEL_ACTION_INTERRUPT: _ClassVar[CancelAction]
    CANCEL_ACTION_ROLLBACK: _ClassVar[CancelAction]

class CancelOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CANCEL_OUTCOME_UNSPECIFIED: _ClassVar[CancelOutcome]
    CANCEL_OUTCOME_CANCELLED: _ClassVar[CancelOutcome]
    CANCEL_OUTCOME_ALREADY_CANCELLED: _ClassVar[CancelOutcome]
    CANCEL_OUTCOME_ALREADY_FINISHED: _ClassVar[CancelOutcome]

class DisconnectMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DISCONNECT_MODE_UNSPECIFIED: _ClassVar[DisconnectMode]
    DISCONNECT_MODE_CANCEL: _ClassVar[DisconnectMode]
    DISCONNECT_MODE_CONTINUE: _ClassVar[DisconnectMode]

class MultitaskStrategy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MULTITASK_STRATEGY_UNSPECIFIED: _ClassVar[MultitaskStrategy]
    MULTITASK_STRATEGY_REJECT: _ClassVar[MultitaskStrategy]
    MULTITASK_STRATEGY_INTERRUPT: _ClassVar[MultitaskStrategy]
    MULTITASK_STRATEGY_ROLLBACK: _ClassVar[MultitaskStrategy]
    MULTITASK_STRATEGY_ENQUEUE: _ClassVar[MultitaskStrategy]

class Handover(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HANDOVER_UNSPECIFIED: _ClassVar[Handover]
    HANDOVER_IMMEDIATE: _ClassVar[Handover]
    HANDOVER_AFTER_STOP: _ClassVar[Handover]

class QueueGate(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUEUE_GATE_UNSPECIFIED: _ClassVar[QueueGate]
    QUEUE_GATE_TIME: _ClassVar[QueueGate]
    QUEUE_GATE_THREAD: _ClassVar[QueueGate]
    QUEUE_GATE_HANDOVER: _ClassVar[QueueGate]
    QUEUE_GATE_CONCURRENCY: _ClassVar[QueueGate]

class StatusEvent(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATUS_EVENT_UNSPECIFIED: _ClassVar[StatusEvent]
    STATUS_EVENT_SNAPSHOT: _ClassVar[StatusEvent]
    STATUS_EVENT_SNAPSHOT_END: _ClassVar[StatusEvent]
    STATUS_EVENT_CHANGED: _ClassVar[StatusEvent]
    STATUS_EVENT_PROGRESS: _ClassVar[StatusEvent]
    STATUS_EVENT_HEARTBEAT: _ClassVar[StatusEvent]
    STATUS_EVENT_DELETED: _ClassVar[StatusEvent]
RUN_STATUS_UNSPECIFIED: RunStatus
RUN_STATUS_PENDING: RunStatus
RUN_STATUS_RUNNING: RunStatus
RUN_STATUS_SUCCESS: RunStatus
RUN_STATUS_ERROR: RunStatus
RUN_STATUS_TIMEOUT: RunStatus
RUN_STATUS_INTERRUPTED: RunStatus
RUN_STATUS_QUEUED: RunStatus
STATUS_REASON_UNSPECIFIED: StatusReason
STATUS_REASON_CANCEL_REQUESTED: StatusReason
STATUS_REASON_SUPERSEDED: StatusReason
STATUS_REASON_CLIENT_DISCONNECTED: StatusReason
STATUS_REASON_LEASE_EXPIRED: StatusReason
STATUS_REASON_ORPHANED: StatusReason
STATUS_REASON_TIMEOUT_EXCEEDED: StatusReason
STATUS_REASON_START_TIMEOUT_EXCEEDED: StatusReason
STATUS_REASON_QUEUE_TIMEOUT_EXCEEDED: StatusReason
STATUS_REASON_RETRYABLE_ERROR: StatusReason
STATUS_REASON_RELEASED: StatusReason
CANCEL_ACTION_UNSPECIFIED: CancelAction
CANCEL_ACTION_INTERRUPT: CancelAction
CANCEL_ACTION_ROLLBACK: CancelAction
CANCEL_OUTCOME_UNSPECIFIED: CancelOutcome
CANCEL_OUTCOME_CANCELLED: CancelOutcome
CANCEL_OUTCOME_ALREADY_CANCELLED: CancelOutcome
CANCEL_OUTCOME_ALREADY_FINISHED: CancelOutcome
DISCONNECT_MODE_UNSPECIFIED: DisconnectMode
DISCONNECT_MODE_CANCEL: DisconnectMode
DISCONNECT_MODE_CONTINUE: DisconnectMode
MULTITASK_STRATEGY_UNSPECIFIED: MultitaskStrategy
MULTITASK_STRATEGY_REJECT: MultitaskStrategy
MULTITASK_STRATEGY_INTERRUPT: MultitaskStrategy
MULTITASK_STRATEGY_ROLLBACK: MultitaskStrategy
MULTITASK_STRATEGY_ENQUEUE: MultitaskStrategy
HANDOVER_UNSPECIFIED: Handover
HANDOVER_IMMEDIATE: Handover
HANDOVER_AFTER_STOP: Handover
QUEUE_GATE_UNSPECIFIED: QueueGate
QUEUE_GATE_TIME: QueueGate
QUEUE_GATE_THREAD: QueueGate
QUEUE_GATE_HANDOVER: QueueGate
QUEUE_GATE_CONCURRENCY: QueueGate
STATUS_EVENT_UNSPECIFIED: StatusEvent
STATUS_EVENT_SNAPSHOT: StatusEvent
STATUS_EVENT_SNAPSHOT_END: StatusEvent
STATUS_EVENT_CHANGED: StatusEvent
STATUS_EVENT_PROGRESS: StatusEvent
STATUS_EVENT_HEARTBEAT: StatusEvent
STATUS_EVENT_DELETED: StatusEvent

class Run(_message.Message):
    __slots__ = ("run_id", "thread_id", "status", "status_reason", "revision", "assistant_id", "created_at", "updated_at", "started_at", "ended_at", "progress", "metadata", "worker_id", "on_disconnect", "multitask_strategy", "model_name", "error", "cancellation", "kwargs", "lease", "start_timeout", "timeout", "superseded_by", "owner", "result", "stop_reason", "queue", "priority", "retry", "attempt", "fencing_token", "not_before", "concurrency_key", "handover", "pending_at", "queue_timeout")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    THREAD_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STATUS_REASON_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ASSISTANT_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    ON_DISCONNECT_FIELD_NUMBER: _ClassVar[int]
    MULTITASK_STRATEGY_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CANCELLATION_FIELD_NUMBER: _ClassVar[int]
    KWARGS_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    START_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    SUPERSEDED_BY_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    STOP_REASON_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    HANDOVER_FIELD_NUMBER: _ClassVar[int]
    PENDING_AT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    thread_id: str
    status: RunStatus
    status_reason: StatusReason
    revision: int
    assistant_id: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    progress: Progress
    metadata: _struct_pb2.Struct
    worker_id: str
    on_disconnect: DisconnectMode
    multitask_strategy: MultitaskStrategy
    model_name: str
    error: str
    cancellation: Cancellation
    kwargs: _struct_pb2.Struct
    lease: Lease
    start_timeout: _duration_pb2.Duration
    timeout: _duration_pb2.Duration
    superseded_by: str
    owner: str
    result: _struct_pb2.Struct
    stop_reason: str
    queue: Queue
    priority: int
    retry: Retry
    attempt: int
    fencing_token: int
    not_before: _timestamp_pb2.Timestamp
    concurrency_key: str
    handover: Handover
    pending_at: _timestamp_pb2.Timestamp
    queue_timeout: _duration_pb2.Duration
    def __init__(self, run_id: _Optional[str] = ..., thread_id: _Optional[str] = ..., status: _Optional[_Union[RunStatus, str]] = ..., status_reason: _Optional[_Union[StatusReason, str]] = ..., revision: _Optional[int] = ..., assistant_id: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., worker_id: _Optional[str] = ..., on_disconnect: _Optional[_Union[DisconnectMode, str]] = ..., multitask_strategy: _Optional[_Union[MultitaskStrategy, str]] = ..., model_name: _Optional[str] = ..., error: _Optional[str] = ..., cancellation: _Optional[_Union[Cancellation, _Mapping]] = ..., kwargs: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., lease: _Optional[_Union[Lease, _Mapping]] = ..., start_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., superseded_by: _Optional[str] = ..., owner: _Optional[str] = ..., result: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., stop_reason: _Optional[str] = ..., queue: _Optional[_Union[Queue, _Mapping]] = ..., priority: _Optional[int] = ..., retry: _Optional[_Union[Retry, _Mapping]] = ..., attempt: _Optional[int] = ..., fencing_token: _Optional[int] = ..., not_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., concurrency_key: _Optional[str] = ..., handover: _Optional[_Union[Handover, str]] = ..., pending_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., queue_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class RunSpec(_message.Message):
    __slots__ = ("thread_id", "assistant_id", "on_disconnect", "metadata", "kwargs", "multitask_strategy", "model_name", "worker_id", "lease_ttl", "start_timeout", "timeout", "handover", "not_before", "concurrency_key", "queue_timeout", "priority", "retry")
    THREAD_ID_FIELD_NUMBER: _ClassVar[int]
    ASSISTANT_ID_FIELD_NUMBER: _ClassVar[int]
    ON_DISCONNECT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    KWARGS_FIELD_NUMBER: _ClassVar[int]
    MULTITASK_STRATEGY_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_TTL_FIELD_NUMBER: _ClassVar[int]
    START_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    HANDOVER_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    QUEUE_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    thread_id: str
    assistant_id: str
    on_disconnect: DisconnectMode
    metadata: _struct_pb2.Struct
    kwargs: _struct_pb2.Struct
    multitask_strategy: MultitaskStrategy
    model_name: str
    worker_id: str
    lease_ttl: _duration_pb2.Duration
    start_timeout: _duration_pb2.Duration
    timeout: _duration_pb2.Duration
    handover: Handover
    not_before: _timestamp_pb2.Timestamp
    concurrency_key: str
    queue_timeout: _duration_pb2.Duration
    priority: int
    retry: Retry
    def __init__(self, thread_id: _Optional[str] = ..., assistant_id: _Optional[str] = ..., on_disconnect: _Optional[_Union[DisconnectMode, str]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., kwargs: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., multitask_strategy: _Optional[_Union[MultitaskStrategy, str]] = ..., model_name: _Optional[str] = ..., worker_id: _Optional[str] = ..., lease_ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., start_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., handover: _Optional[_Union[Handover, str]] = ..., not_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., concurrency_key: _Optional[str] = ..., queue_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., priority: _Optional[int] = ..., retry: _Optional[_Union[Retry, _Mapping]] = ...) -> None: ...

class Retry(_message.Message):
    __slots__ = ("max_attempts", "backoff", "released")
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    max_attempts: int
    backoff: _duration_pb2.Duration
    released: int
    def __init__(self, max_attempts: _Optional[int] = ..., backoff: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., released: _Optional[int] = ...) -> None: ...

class Queue(_message.Message):
    __slots__ = ("gate", "position", "blocked_by_run_id")
    GATE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_BY_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    gate: QueueGate
    position: int
    blocked_by_run_id: str
    def __init__(self, gate: _Optional[_Union[QueueGate, str]] = ..., position: _Optional[int] = ..., blocked_by_run_id: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("total_input_tokens", "total_output_tokens", "total_tokens", "llm_call_count", "lead_agent_tokens", "subagent_tokens", "middleware_tokens", "message_count", "last_ai_message", "first_human_message", "final", "by_model")
    class ByModelEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: ModelUsage
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[ModelUsage, _Mapping]] = ...) -> None: ...
    TOTAL_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    LLM_CALL_COUNT_FIELD_NUMBER: _ClassVar[int]
    LEAD_AGENT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SUBAGENT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MIDDLEWARE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_AI_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FIRST_HUMAN_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    BY_MODEL_FIELD_NUMBER: _ClassVar[int]
    total_input_tokens: int
    total_output_tokens: int
    total_tokens: int
    llm_call_count: int
    lead_agent_tokens: int
    subagent_tokens: int
    middleware_tokens: int
    message_count: int
    last_ai_message: str
    first_human_message: str
    final: bool
    by_model: _containers.MessageMap[str, ModelUsage]
    def __init__(self, total_input_tokens: _Optional[int] = ..., total_output_tokens: _Optional[int] = ..., total_tokens: _Optional[int] = ..., llm_call_count: _Optional[int] = ..., lead_agent_tokens: _Optional[int] = ..., subagent_tokens: _Optional[int] = ..., middleware_tokens: _Optional[int] = ..., message_count: _Optional[int] = ..., last_ai_message: _Optional[str] = ..., first_human_message: _Optional[str] = ..., final: bool = ..., by_model: _Optional[_Mapping[str, ModelUsage]] = ...) -> None: ...

class ModelUsage(_message.Message):
    __slots__ = ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens", "calls")
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHE_READ_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASONING_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    reasoning_tokens: int
    calls: int
    def __init__(self, input_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., cache_read_tokens: _Optional[int] = ..., reasoning_tokens: _Optional[int] = ..., calls: _Optional[int] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("ttl", "expires_at")
    TTL_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    ttl: _duration_pb2.Duration
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Cancellation(_message.Message):
    __slots__ = ("action", "note", "requested_at", "acknowledged_at", "requested_by", "presumed_stopped_at")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_AT_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_AT_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    PRESUMED_STOPPED_AT_FIELD_NUMBER: _ClassVar[int]
    action: CancelAction
    note: str
    requested_at: _timestamp_pb2.Timestamp
    acknowledged_at: _timestamp_pb2.Timestamp
    requested_by: str
    presumed_stopped_at: _timestamp_pb2.Timestamp
    def __init__(self, action: _Optional[_Union[CancelAction, str]] = ..., note: _Optional[str] = ..., requested_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., acknowledged_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., requested_by: _Optional[str] = ..., presumed_stopped_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AllRuns(_message.Message):
    __slots__ = ("assistant_id",)
    ASSISTANT_ID_FIELD_NUMBER: _ClassVar[int]
    assistant_id: str
    def __init__(self, assistant_id: _Optional[str] = ...) -> None: ...
