import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from runsvc.v1 import run_pb2 as _run_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReconcileOrphansRequest(_message.Message):
    __slots__ = ("error", "before", "limit", "dry_run", "statuses", "assistant_id")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    ASSISTANT_ID_FIELD_NUMBER: _ClassVar[int]
    error: str
    before: _timestamp_pb2.Timestamp
    limit: int
    dry_run: bool
    statuses: _containers.RepeatedScalarFieldContainer[_run_pb2.RunStatus]
    assistant_id: str
    def __init__(self, error: _Optional[str] = ..., before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., limit: _Optional[int] = ..., dry_run: bool = ..., statuses: _Optional[_Iterable[_Union[_run_pb2.RunStatus, str]]] = ..., assistant_id: _Optional[str] = ...) -> None: ...

class ReconcileOrphansResponse(_message.Message):
    __slots__ = ("runs", "more")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[_run_pb2.Run]
    more: bool
    def __init__(self, runs: _Optional[_Iterable[_Union[_run_pb2.Run, _Mapping]]] = ..., more: bool = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class DeleteResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "store_kind", "store_id", "current_revision", "oldest_revision", "active_runs", "watchers", "attachments", "write_ahead_log_bytes", "queued_runs")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STORE_KIND_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENT_REVISION_FIELD_NUMBER: _ClassVar[int]
    OLDEST_REVISION_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_RUNS_FIELD_NUMBER: _ClassVar[int]
    WATCHERS_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENTS_FIELD_NUMBER: _ClassVar[int]
    WRITE_AHEAD_LOG_BYTES_FIELD_NUMBER: _ClassVar[int]
    QUEUED_RUNS_FIELD_NUMBER: _ClassVar[int]
    version: str
    store_kind: str
    store_id: str
    current_revision: int
    oldest_revision: int
    active_runs: int
    watchers: int
    attachments: int
    write_ahead_log_bytes: int
    queued_runs: int
    def __init__(self, version: _Optional[str] = ..., store_kind: _Optional[str] = ..., store_id: _Optional[str] = ..., current_revision: _Optional[int] = ..., oldest_revision: _Optional[int] = ..., active_runs: _Optional[int] = ..., watchers: _Optional[int] = ..., attachments: _Optional[int] = ..., write_ahead_log_bytes: _Optional[int] = ..., queued_runs: _Optional[int] = ...) -> None: ...

class ConcurrencyLimit(_message.Message):
    __slots__ = ("prefix", "width")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    width: int
    def __init__(self, prefix: _Optional[str] = ..., width: _Optional[int] = ...) -> None: ...

class SetConcurrencyLimitRequest(_message.Message):
    __slots__ = ("prefix", "width")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    width: int
    def __init__(self, prefix: _Optional[str] = ..., width: _Optional[int] = ...) -> None: ...

class SetConcurrencyLimitResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListConcurrencyLimitsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListConcurrencyLimitsResponse(_message.Message):
    __slots__ = ("limits",)
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    limits: _containers.RepeatedCompositeFieldContainer[ConcurrencyLimit]
    def __init__(self, limits: _Optional[_Iterable[_Union[ConcurrencyLimit, _Mapping]]] = ...) -> None: ...
