"""The guard on a real server: failures become statuses, nothing leaks, and every call is counted until it ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from runsvc.core.errors import (
    CorruptRow,
    OutcomeUnknown,
    RunNotFound,
    ServerDraining,
    StoreBusy,
    StoreUnavailable,
)
from runsvc.rpc.connections import Connections
from runsvc.rpc.failures import INTERVAL, FailureLog
from runsvc.rpc.guard import Guard
from runsvc.rpc.in_flight import InFlight
from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1 import run_service_pb2_grpc as pb_grpc
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

LOGGER = "runsvc.rpc.call_log"


class Servicer(pb_grpc.RunServiceServicer):
    """Get and StreamStatus behave as a test sets them up."""

    def __init__(self) -> None:
        self.behavior: Callable[[Any, Any], Awaitable[Any]] = self._answer

    async def Get(self, request: Any, context: Any, caller: Any = None) -> Any:
        return await self.behavior(request, context)

    async def StreamStatus(  # type: ignore[override]
        self, request: Any, context: Any, caller: Any = None
    ) -> None:
        await self.behavior(request, context)

    async def _answer(self, request: Any, context: Any) -> Any:
        return pb.GetResponse()


class Service:
    """A server with a guard, and a channel to it."""

    def __init__(self, servicer: Servicer, guard: Guard, channel: grpc.aio.Channel) -> None:
        self.servicer = servicer
        self.guard = guard
        self.channel: Any = channel
        self.stub: Any = pb_grpc.RunServiceStub(channel)

    def behave(self, behavior: Callable[[Any, Any], Awaitable[Any]]) -> None:
        self.servicer.behavior = behavior

    def fail(self, error: BaseException) -> None:
        async def behavior(request: Any, context: Any) -> None:
            raise error

        self.behave(behavior)

    async def refused(self, **options: Any) -> grpc.aio.AioRpcError:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.stub.Get(pb.GetRequest(run_id="r"), timeout=PATIENCE, **options)
        return caught.value


@asynccontextmanager
async def guarded(**parts: Any) -> AsyncIterator[Service]:
    # The methods that no test calls are left out.
    servicer = Servicer()  # type: ignore[abstract]
    guard = Guard(Connections(1_800, 60, time.monotonic), **parts)
    server, services = grpc.aio.server(), cast("Any", guard)
    pb_grpc.add_RunServiceServicer_to_server(servicer, services)
    reflected = reflection.aio.ReflectionServicer(["runsvc.v1.RunService"])
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]
        reflected, services
    )
    server.add_generic_rpc_handlers((guard,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Service(servicer, guard, channel)
    await server.stop(None)
    await asyncio.wait_for(guard.in_flight.ended(), PATIENCE)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with guarded() as made:
        yield made


def trailers_of(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    return dict(error.trailing_metadata())


def reason_of(error: grpc.aio.AioRpcError) -> str:
    status = status_pb2.Status.FromString(trailers_of(error)["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return str(info.reason)


async def test_an_answer_passes_unchanged(service: Service) -> None:
    call = service.stub.Get(pb.GetRequest())
    assert await call == pb.GetResponse()
    assert "x-request-id" not in dict(await call.trailing_metadata())


async def test_a_known_failure_becomes_its_status(service: Service) -> None:
    service.fail(RunNotFound("r"))
    error = await service.refused()
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "Run r does not exist."
    assert reason_of(error) == "RUN_NOT_FOUND"


async def test_a_stream_ends_with_the_status_of_its_failure(service: Service) -> None:
    async def behavior(request: Any, context: Any) -> None:
        await context.write(pb.StreamStatusResponse(revision=7))
        raise ServerDraining

    service.behave(behavior)
    call = service.stub.StreamStatus(pb.StreamStatusRequest())
    assert (await call.read()).revision == 7
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert reason_of(caught.value) == "SERVER_DRAINING"


async def test_a_stream_ends_with_ok(service: Service) -> None:
    async def behavior(request: Any, context: Any) -> None:
        await context.write(pb.StreamStatusResponse(revision=7))

    service.behave(behavior)
    call = service.stub.StreamStatus(pb.StreamStatusRequest())
    assert [response.revision async for response in call] == [7]


async def test_an_unexpected_failure_discloses_nothing_and_is_logged_once(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.fail(RuntimeError("secret"))
    error = await service.refused(metadata=[("x-request-id", "q-1")])
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(error)
    assert "q-1" in str(error.details())
    assert trailers_of(error) == {"x-request-id": "q-1"}
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert (record.name, record.levelname) == ("runsvc.rpc.failures", "ERROR")
    assert "q-1" in record.getMessage()
    assert caplog.text.count("secret") == 1


async def test_a_wrong_answer_type_is_an_unexpected_failure(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async def behavior(request: Any, context: Any) -> None:
        """Forgets to answer."""

    service.behave(behavior)
    error = await service.refused()
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "TypeError" not in str(error.details())


async def test_a_stream_cannot_write_another_type(service: Service) -> None:
    async def behavior(request: Any, context: Any) -> None:
        await context.write(7)

    service.behave(behavior)
    call = service.stub.StreamStatus(pb.StreamStatusRequest())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.INTERNAL


async def test_a_stream_may_write_encoded_messages(service: Service) -> None:
    answer = pb.StreamStatusResponse(revision=7)

    async def behavior(request: Any, context: Any) -> None:
        await context.write(answer.SerializeToString())
        await context.write(answer)

    service.behave(behavior)
    assert [each async for each in service.stub.StreamStatus(pb.StreamStatusRequest())] == [
        answer
    ] * 2


@pytest.mark.parametrize(
    ("failure", "level"),
    [
        (StoreUnavailable("gone"), "WARNING"),
        (StoreBusy("locked"), "WARNING"),
        (OutcomeUnknown(), "ERROR"),
        (CorruptRow("r"), "ERROR"),
    ],
)
async def test_failures_of_the_store_are_logged_with_the_request_id(
    service: Service, caplog: pytest.LogCaptureFixture, failure: Exception, level: str
) -> None:
    service.fail(failure)
    await service.refused(metadata=[("x-request-id", "q-1")])
    [record] = caplog.records
    assert record.levelname == level
    assert "q-1" in record.getMessage()
    assert record.exc_info is None


async def test_a_flood_of_failures_is_logged_once_with_a_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 100.0
    async with guarded(failures=FailureLog(lambda: now)) as service:
        service.fail(StoreUnavailable("disk full"))
        for _ in range(5):
            await service.refused()
        assert len(caplog.records) == 1
        now += INTERVAL
        await service.refused()
    assert "(4 more since the last line)" in caplog.records[-1].getMessage()


async def test_refusals_are_not_logged(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    service.fail(RunNotFound("r"))
    await service.refused()
    assert not caplog.records


async def test_each_call_has_one_line_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)
    async with guarded() as service:
        await service.stub.Get(pb.GetRequest(), metadata=[("x-request-id", "q-1")])
        service.fail(RunNotFound("r"))
        error = await service.refused()
        stream = service.stub.StreamStatus(pb.StreamStatusRequest())
        assert await stream.code() is grpc.StatusCode.NOT_FOUND
    lines = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert len(lines) == 3
    assert re.fullmatch(
        r"/runsvc.v1.RunService/Get OK [\d.]+ ms, request q-1, peer ipv4:[\d.:]+", lines[0]
    )
    assert " NOT_FOUND " in lines[1]
    assert f" request {trailers_of(error)['x-request-id']}, peer ipv4:127.0.0.1:" in lines[1]
    assert lines[2].startswith("/runsvc.v1.RunService/StreamStatus NOT_FOUND ")


async def test_a_request_id_is_taken_from_the_client_or_generated(service: Service) -> None:
    service.fail(RunNotFound("r"))
    given = [[("x-request-id", one)] for one in ("mine", "x" * 129, "")]
    errors = [await service.refused(metadata=metadata) for metadata in (*given, None)]
    first, *made = [trailers_of(error)["x-request-id"] for error in errors]
    assert first == "mine"
    assert len(set(made)) == 3
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]+", one) for one in made)


@pytest.mark.parametrize("method", ["Get", "StreamStatus"])
async def test_a_refusal_leaves_no_reference_cycle(service: Service, method: str) -> None:
    service.fail(RunNotFound("r"))
    request = {"Get": pb.GetRequest(), "StreamStatus": pb.StreamStatusRequest()}[method]
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            code = await getattr(service.stub, method)(request).code()
            assert code is grpc.StatusCode.NOT_FOUND
        await service.guard.in_flight.ended()
        left = [each for each in gc.get_objects() if type(each).__name__ == "_ServicerContext"]
    finally:
        gc.enable()
    # The last one may still be on its way out.
    assert len(left) <= 1


async def test_garbage_is_collected_after_a_number_of_calls() -> None:
    collections = []

    def note(phase: str, about: dict[str, int]) -> None:
        collections.append((phase, about["generation"]))

    gc.disable()
    gc.callbacks.append(note)
    try:
        async with guarded(gc_calls=3) as service:
            for _ in range(7):
                await service.stub.Get(pb.GetRequest())
    finally:
        gc.callbacks.remove(note)
        gc.enable()
    assert collections == [("start", 0), ("stop", 0)] * 2


async def test_an_abort_passes_unchanged(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async def behavior(request: Any, context: Any) -> None:
        await context.abort(grpc.StatusCode.ABORTED, "as it says")

    service.behave(behavior)
    error = await service.refused()
    assert (error.code(), error.details()) == (grpc.StatusCode.ABORTED, "as it says")
    assert not caplog.records


async def test_a_leaked_cancel_is_a_failure(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async def behavior(request: Any, context: Any) -> None:
        other = asyncio.ensure_future(asyncio.Event().wait())
        other.cancel()
        await other

    service.behave(behavior)
    error = await service.refused()
    assert error.code() is grpc.StatusCode.INTERNAL
    assert len(caplog.records) == 1


async def test_a_real_cancel_reaches_the_handler_and_is_not_logged(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    entered, left = asyncio.Event(), asyncio.Event()

    async def behavior(request: Any, context: Any) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    service.behave(behavior)
    call = service.stub.Get(pb.GetRequest())
    asking = asyncio.ensure_future(call.code())
    await entered.wait()
    call.cancel()
    await left.wait()
    await service.guard.in_flight.ended()
    assert await asking is grpc.StatusCode.CANCELLED
    assert not caplog.records


async def test_a_client_that_leaves_in_mid_stream_is_not_a_failure(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    outcome: list[BaseException] = []

    async def behavior(request: Any, context: Any) -> None:
        try:
            while True:
                await write(context)
        except grpc.aio.BaseError as error:
            outcome.append(error)
            raise

    async def write(context: Any) -> None:
        # A handler that does not stop at the cancel writes to a closed call.
        try:
            await context.write(pb.StreamStatusResponse(store_id="x" * 1_000))
        except asyncio.CancelledError:
            await context.write(pb.StreamStatusResponse())

    service.behave(behavior)
    call = service.stub.StreamStatus(pb.StreamStatusRequest())
    await call.read()
    call.cancel()
    await asyncio.wait_for(service.guard.in_flight.ended(), PATIENCE)
    assert len(outcome) == 1
    assert not caplog.records


async def test_a_failure_after_the_client_has_left_is_sent_to_no_one(service: Service) -> None:
    entered = asyncio.Event()

    async def behavior(request: Any, context: Any) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise RunNotFound("r") from None

    service.behave(behavior)
    call = service.stub.Get(pb.GetRequest())
    asking = asyncio.ensure_future(call.code())
    await entered.wait()
    call.cancel()
    await asyncio.wait_for(service.guard.in_flight.ended(), PATIENCE)
    assert await asking is grpc.StatusCode.CANCELLED


async def test_misuse_of_the_transport_is_an_unexpected_failure(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async def behavior(request: Any, context: Any) -> None:
        await context.send_initial_metadata(())
        await context.send_initial_metadata(())

    service.behave(behavior)
    assert (await service.refused()).code() is grpc.StatusCode.INTERNAL
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("method", "message", "kind"),
    [
        ("Get", "runsvc.v1.GetRequest", "unary_unary"),
        ("StreamStatus", "runsvc.v1.StreamStatusRequest", "unary_stream"),
    ],
)
async def test_bytes_that_do_not_parse_are_an_invalid_request(
    service: Service, caplog: pytest.LogCaptureFixture, method: str, message: str, kind: str
) -> None:
    call = getattr(service.channel, kind)(f"/runsvc.v1.RunService/{method}")(b"\xff\xff")
    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
    trailers = dict(await call.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    request = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(request)
    assert [(fault.field, fault.description) for fault in request.field_violations] == [
        ("", f"does not parse as {message}")
    ]
    assert not caplog.records


async def test_an_unknown_method_is_unimplemented(service: Service) -> None:
    call = service.channel.unary_unary("/runsvc.v1.RunService/Nothing")(b"")
    assert await call.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_reflection_answers_through_the_guard(service: Service) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(service.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    [answer] = [answer async for answer in stub.ServerReflectionInfo(iter([request]))]
    names = {one.name for one in answer.list_services_response.service}
    assert "runsvc.v1.RunService" in names


async def test_the_end_of_a_drain_waits_for_every_call(service: Service) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def behavior(request: Any, context: Any) -> Any:
        entered.set()
        await go_on.wait()
        return pb.GetResponse()

    service.behave(behavior)
    call = service.stub.Get(pb.GetRequest())
    asking = asyncio.ensure_future(call.code())
    await entered.wait()
    drained = asyncio.ensure_future(service.guard.in_flight.ended())
    await asyncio.sleep(0)
    assert not drained.done()
    go_on.set()
    await asyncio.wait_for(drained, PATIENCE)
    assert await asking is grpc.StatusCode.OK
    await service.guard.in_flight.ended()


async def test_a_drain_waits_for_stuck_streams_only_while_other_calls_run() -> None:
    entered, asked, answer, release = (asyncio.Event() for _ in range(4))

    async def behavior(request: Any, context: Any) -> Any:
        if isinstance(request, pb.GetRequest):
            asked.set()
            await answer.wait()
            return pb.GetResponse()
        entered.set()
        await release.wait()
        return None

    async with guarded(in_flight=InFlight(0.001)) as service:
        service.behave(behavior)
        stream = service.stub.StreamStatus(pb.StreamStatusRequest())
        await entered.wait()
        call = asyncio.ensure_future(service.stub.Get(pb.GetRequest(run_id="r")))
        await asked.wait()
        settled = asyncio.ensure_future(service.guard.in_flight.ended_or_stuck())
        # Many times longer than the wait for stuck streams alone.
        await asyncio.sleep(0.2)
        assert not settled.done()
        answer.set()
        await asyncio.wait_for(settled, PATIENCE)
        await call
        release.set()
        assert await stream.read() is grpc.aio.EOF
