"""Errors that the client builds from failed calls, for threads and for asyncio."""

from __future__ import annotations

import pickle
from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from runsvc.client import (
    RunError,
    RunServiceStub,
    ThreadBusy,
    Violation,
    aconnect,
    connect,
    error_of,
)
from runsvc.v1.run_service_pb2 import GetRequest
from runsvc.v1.run_service_pb2_grpc import (
    RunServiceServicer,
    add_RunServiceServicer_to_server,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = grpc.StatusCode.ABORTED


def packed(*details: Any) -> bytes:
    status = status_pb2.Status(code=CODE.value[0], message="busy")
    for detail in details:
        status.details.add().Pack(detail)
    return bytes(status.SerializeToString())


def broken(kind: str) -> bytes:
    status = status_pb2.Status()
    status.details.add(type_url=f"type.googleapis.com/{kind}", value=b"\xff")
    return bytes(status.SerializeToString())


def info(domain: str = "runsvc") -> Any:
    facts = {"run_id": "r1"}
    return error_details_pb2.ErrorInfo(reason="THREAD_BUSY", domain=domain, metadata=facts)


def bad_request() -> Any:
    request = error_details_pb2.BadRequest()
    request.field_violations.add(field="run_id", description="is required")
    return request


def retry_info() -> Any:
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(1_500)
    return retry


class Failing(RunServiceServicer):
    """A servicer that fails every Get with a trailer."""

    trailer: Any = None
    key = "grpc-status-details-bin"

    def Get(self, request: GetRequest, context: Any) -> Any:
        if self.trailer is not None:
            context.set_trailing_metadata(((self.key, self.trailer),))
        context.abort(CODE, "busy")


@pytest.fixture
def failing() -> Failing:
    return Failing()  # type: ignore[abstract]


@pytest.fixture
def target(failing: Failing) -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    add_RunServiceServicer_to_server(failing, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def failure(target: str) -> RunError:
    with connect(target) as channel, pytest.raises(grpc.RpcError) as caught:
        RunServiceStub(channel).Get(GetRequest(run_id="r1"), timeout=5)
    return error_of(caught.value)


def test_every_detail_is_read(failing: Failing, target: str) -> None:
    failing.trailer = packed(info(), bad_request(), retry_info())
    error = failure(target)
    assert isinstance(error, ThreadBusy)
    assert (error.code, error.reason, error.message) == (CODE, "THREAD_BUSY", "busy")
    assert (error.metadata, error.retry_after) == ({"run_id": "r1"}, 1.5)
    assert error.violations == (Violation("run_id", "is required"),)
    assert not error.from_transport
    assert str(error) == "ABORTED THREAD_BUSY: busy"


@pytest.mark.parametrize(
    "trailer",
    [
        None,
        b"",
        b"\xff",
        packed(info("elsewhere")),
        packed(error_details_pb2.DebugInfo(detail="x")),
        broken("google.rpc.ErrorInfo"),
    ],
)
def test_foreign_or_invalid_details_are_ignored(
    failing: Failing, target: str, trailer: bytes | None
) -> None:
    failing.trailer = trailer
    assert vars(failure(target)) == vars(RunError(CODE, message="busy", from_transport=True))


def test_failure_of_the_server_is_not_from_transport(failing: Failing, target: str) -> None:
    failing.trailer, failing.key = "f3a-1", "x-request-id"
    assert not failure(target).from_transport


async def test_asyncio_errors_are_read(failing: Failing, target: str) -> None:
    failing.trailer = packed(info())
    async with aconnect(target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await RunServiceStub(channel).Get(GetRequest(run_id="r1"), timeout=5)
    error = error_of(caught.value)
    assert (error.code, error.reason, error.metadata) == (CODE, "THREAD_BUSY", {"run_id": "r1"})


def test_error_without_call_is_unknown() -> None:
    error = error_of(grpc.RpcError("odd"))
    assert vars(error) == vars(RunError(grpc.StatusCode.UNKNOWN, message="odd"))


def test_error_can_be_pickled() -> None:
    error = ThreadBusy(CODE, "THREAD_BUSY", "busy", {"run_id": "r1"}, retry_after=1.0)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), vars(copy)) == (ThreadBusy, vars(error))


def test_error_without_message_shows_its_code() -> None:
    assert str(RunError(CODE)) == "ABORTED"
