"""A server with scripted answers."""

from __future__ import annotations

import threading
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from runsvc.v1 import admin_service_pb2_grpc, run_service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Refusal:
    """An error as an answer."""

    code: grpc.StatusCode
    message: str = ""
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    violations: tuple[tuple[str, str], ...] = ()
    retry: int = 0
    request_id: str = ""

    def abort(self, context: Any) -> None:
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        details: list[Any] = []
        if self.reason:
            details.append(
                error_details_pb2.ErrorInfo(
                    reason=self.reason, domain="runsvc", metadata=self.metadata
                )
            )
        if self.violations:
            details.append(error_details_pb2.BadRequest())
            for name, description in self.violations:
                details[-1].field_violations.add(field=name, description=description)
        if self.retry:
            details.append(error_details_pb2.RetryInfo())
            details[-1].retry_delay.seconds = self.retry
        for detail in details:
            status.details.add().Pack(detail)
        trailers = [("grpc-status-details-bin", status.SerializeToString())]
        trailers += [("x-request-id", self.request_id)] if self.request_id else []
        context.set_trailing_metadata(tuple(trailers))
        context.abort(self.code, self.message)


#: In a stream: no further event until the client cancels.
HOLD: Final = object()


class Script:
    """Answers by method, in order, and the received requests. A list is a stream; a function returns an answer."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[Any] = []
        #: Of each call: its metadata, and the seconds until its deadline.
        self.metadata: list[dict[str, Any]] = []
        self.time_left: list[float] = []
        #: Streams that HOLD keeps open.
        self.held = 0

    def will(self, method: str, *answers: Any) -> None:
        self.answers.setdefault(method, []).extend(answers)

    def unary(self, method: str, request: Any, context: Any) -> Any:
        self._note(request, context)
        answer = self.answers[method].pop(0)
        if callable(answer):
            answer = answer()
        if isinstance(answer, Refusal):
            answer.abort(context)
        return answer

    def stream(self, method: str, request: Any, context: Any) -> Iterator[Any]:
        self._note(request, context)
        answers = self.answers[method]
        for answer in answers.pop(0) if answers and isinstance(answers[0], list) else answers:
            if isinstance(answer, Refusal):
                answer.abort(context)
            elif answer is HOLD:
                self._hold(context)
            else:
                yield answer() if callable(answer) else answer

    def _hold(self, context: Any) -> None:
        cancelled = threading.Event()
        self.held += 1
        if context.add_callback(cancelled.set):
            cancelled.wait()
        self.held -= 1

    def _note(self, request: Any, context: Any) -> None:
        self.asked.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self.time_left.append(context.time_remaining())


def _servicer(base: type, script: Script) -> Any:
    def scripted(method: str) -> Any:
        play = script.stream if method == "StreamStatus" else script.unary
        return lambda self, request, context: play(method, request, context)

    methods = [name for name in vars(base) if name[0].isupper()]
    return type("Scripted", (base,), {name: scripted(name) for name in methods})()


@contextmanager
def scripted(
    script: Script,
    credentials: grpc.ServerCredentials | None = None,
    listen: str = "127.0.0.1:0",
    options: tuple[tuple[str, int], ...] = (),
) -> Iterator[str]:
    """Run a server that plays the script, and return its address."""
    server = grpc.server(
        futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0), *options]
    )
    run_service_pb2_grpc.add_RunServiceServicer_to_server(
        _servicer(run_service_pb2_grpc.RunServiceServicer, script), server
    )
    admin_service_pb2_grpc.add_AdminServiceServicer_to_server(
        _servicer(admin_service_pb2_grpc.AdminServiceServicer, script), server
    )
    port = (
        server.add_secure_port(listen, credentials)
        if credentials
        else server.add_insecure_port(listen)
    )
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
