"""What surrounds every call: request ids, the translation of failures, and the count of calls under way."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from itertools import count
from secrets import token_hex
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, cast

import grpc
from google.protobuf.message import DecodeError

from runsvc.core.errors import InvalidRequest, ServerDraining, Violation
from runsvc.rpc import gc_schedule
from runsvc.rpc.failures import FailureLog
from runsvc.rpc.status import REQUEST_ID_KEY, to_status

if TYPE_CHECKING:
    from runsvc.rpc.connections import Connections

logger = logging.getLogger(__name__)

_PRINTABLE: Final = re.compile(r"[ -~]{1,128}")

#: A load balancer asks to the very end.
_HEALTH: Final = "/grpc.health.v1.Health/"
#: Seconds without a new call after which a draining server counts as quiet, and how often that is awaited.
_QUIET: Final = 0.05
_QUIET_ROUNDS: Final = 20
#: So often in a row no stream may have ended before those that are left count as stuck: a second.
_STUCK_ROUNDS: Final = 20

# Handlers are of every message type, and the stubs tell none of their kinds apart.
Handler = Any
Behavior = Callable[[Any, Any], Awaitable[Any]]


class Guard(grpc.GenericRpcHandler):
    """Holds every method that is served, and surrounds its handler.

    Services are added to it as to a server, by the generated code. It is no interceptor: the transport would ask one at
    each call for what does not change. Nor are methods registered with the transport, which waits for the next call of
    each of them, and lines up for all again whenever one comes.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._handlers: dict[str, Handler] = {}
        self._draining = False
        self._drained = asyncio.Event()
        #: How many calls have come so far.
        self._arrived = 0
        #: How many of them were streams.
        self._streams = 0
        #: How many calls are under way.
        self._active = 0
        #: How many of them are streams.
        self._streaming = 0
        self._failures = FailureLog()
        # Ids are unique among servers and restarts, and cost next to nothing.
        self._prefix = token_hex(4)
        self._numbers = count(1)

    def add_generic_rpc_handlers(self, _handlers: object) -> None:
        """Nothing to do: what is added so is added by its methods as well."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Serve the methods of a service, by name."""
        for name, handler in handlers.items():
            method = f"/{service}/{name}"
            self._handlers[method] = self._guard(method, handler)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """The guarded handler of a method."""
        return self._handlers.get(handler_call_details.method)

    def asked(self) -> int:
        """How many calls have come so far that want an answer at once; streams do not."""
        return self._arrived - self._streams

    async def drain(self) -> None:
        """Refuse further calls; return when those that were on their way have been met.

        The transport would end a call that it has received but not handed on yet as CANCELLED, which tells a client
        nothing.
        """
        self._draining = True
        met = -1
        for _ in range(_QUIET_ROUNDS):
            if met == self._arrived:
                break
            met = self._arrived
            await asyncio.sleep(_QUIET)
        self._drained.set()

    async def settled(self) -> None:
        """Return when no call is under way but streams that are stuck: told to end, none of them has for a second.

        Whose client does not read cannot be told anything, and would hold a stop up.
        """
        left, rounds = 0, 0
        while self._active and rounds < _STUCK_ROUNDS:
            is_stuck = self._active == self._streaming == left
            rounds = rounds + 1 if is_stuck else 0
            left = self._streaming
            await asyncio.sleep(_QUIET)

    async def drained(self) -> None:
        """Return when no call is under way."""
        while self._active:  # noqa: ASYNC110 - an event would cost every call something.
            await asyncio.sleep(_QUIET)

    def _request_id(self, context: Any) -> str:
        """What a call is called: as its client says, or else by a name made now."""
        for key, value in context.invocation_metadata():
            if key == REQUEST_ID_KEY and _PRINTABLE.fullmatch(value):
                return str(value)
        return f"{self._prefix}-{next(self._numbers):x}"

    def _guard(self, method: str, handler: Handler) -> Handler:
        if handler.unary_unary is not None:
            serialize = _serializer(handler.response_serializer)
            return grpc.unary_unary_rpc_method_handler(
                self._wrap(method, handler.unary_unary, handler, serialize)
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._wrap(method, handler.unary_stream, handler, _nothing),
                response_serializer=_serializer(handler.response_serializer),
            )
        # Of reflection alone.
        return grpc.stream_stream_rpc_method_handler(
            self._until_drained(handler.stream_stream),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _until_drained(self, behavior: Callable[[Any, Any], AsyncIterator[Any]]) -> Any:
        """The behavior, whose requests end when the server drains: a client that sits idle must not hold it up."""

        async def call(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
            async for answer in behavior(self._while_serving(requests), context):
                yield answer

        return call

    async def _while_serving(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        drained = asyncio.ensure_future(self._drained.wait())
        try:
            while not drained.done():
                request = asyncio.ensure_future(_next(requests))
                await asyncio.wait((request, drained), return_when=asyncio.FIRST_COMPLETED)
                if not request.done():
                    request.cancel()
                elif (found := request.result()) is not None:
                    yield found
                else:
                    return
        finally:
            drained.cancel()

    def _wrap(
        self, method: str, behavior: Behavior, handler: Handler, serialize: Callable[[Any], Any]
    ) -> Behavior:
        # The transport tells clients what an exception of a (de)serializer says; so both run in here.
        parse = _parser(handler.request_deserializer)
        is_stream = serialize is _nothing

        async def call(request: bytes, context: Any) -> Any:
            self._arrived += 1
            if self._arrived % gc_schedule.CALLS == 0:
                gc.collect(gc_schedule.generation(self._arrived))
            self._active += 1
            self._streams += is_stream
            self._streaming += is_stream
            self._connections.meet(context.peer())
            try:
                if self._draining:
                    await self._turn_away(method)
                return serialize(await behavior(parse(request), context))
            except BaseException as error:
                await self._settle(error, context, method)
                raise
            finally:
                self._active -= 1
                self._streaming -= is_stream
                # See _settle.
                del context

        return self._logged(method, call)

    async def _turn_away(self, method: str) -> None:
        """Raise ServerDraining, once the server is quiet.

        Refused at once, clients that come again at once would keep it from becoming so.
        """
        if not method.startswith(_HEALTH):
            await self._drained.wait()
            raise ServerDraining

    def _logged(self, method: str, behavior: Behavior) -> Behavior:
        """The behavior, with a line for each call if anyone reads it: that is decided when the server starts."""
        if not logger.isEnabledFor(logging.DEBUG):
            return behavior

        async def call(request: bytes, context: Any) -> Any:
            started = perf_counter()
            outcome = "CANCELLED"
            try:
                answer = await behavior(request, context)
                outcome = "OK"
            finally:
                seconds = perf_counter() - started
                told = dict(context.trailing_metadata()).get(REQUEST_ID_KEY)
                _log_call(method, context, outcome, seconds, told or self._request_id(context))
                del context
            return answer

        return call

    async def _settle(self, error: BaseException, context: Any, method: str) -> None:
        """Abort the call with the status of a failure; return when the failure itself says all there is to say."""
        if isinstance(error, grpc.aio.AbortError) or not _is_failure(error):
            return
        if _is_vanished(error, context):
            # A write that failed because its client has gone: to the transport, as any other cancelled call.
            raise asyncio.CancelledError from error
        request_id = self._request_id(context)
        status = to_status(error, request_id)
        self._failures.tell(error, status.code, f"{method}, request {request_id}")
        # A call keeps what it was aborted with, and the frames that an exception passed keep their variables. Where
        # these lead back to the call, every refusal is work for the garbage collector.
        error.__traceback__ = None
        try:
            await context.abort(*status)
        except grpc.aio.AbortError as aborted:
            aborted.__context__ = aborted.__traceback__ = None
            del context
            raise
        except grpc.aio.InternalError as vanished:
            raise asyncio.CancelledError from vanished


def _is_failure(error: BaseException) -> bool:
    if isinstance(error, asyncio.CancelledError):
        # One that leaked from a task of somebody else's would leave the client without any status.
        return not _current_task().cancelling()
    return isinstance(error, Exception)


def _is_vanished(error: BaseException, context: Any) -> bool:
    if isinstance(error, grpc.aio.UsageError):
        return bool(context.done())
    return isinstance(error, grpc.aio.InternalError)


def _log_call(method: str, context: Any, outcome: str, seconds: float, request_id: str) -> None:
    code = context.code()
    logger.debug(
        "%s %s %.1f ms, request %s",
        method,
        outcome if code is None else code.name,
        seconds * 1_000,
        request_id,
    )


def _parser(parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """The deserializer, which raises InvalidRequest for what is no such message."""
    # It is a message class's own FromString.
    name = cast("Any", parse).__self__.DESCRIPTOR.full_name

    def parsed(request: bytes) -> Any:
        try:
            return parse(request)
        except DecodeError as error:
            raise InvalidRequest((Violation("", f"does not parse as {name}"),)) from error

    return parsed


async def _next(requests: AsyncIterator[Any]) -> Any:
    """The next request; None after the last."""
    return await anext(requests, None)


def _serializer(serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Lets bytes pass, which a handler has encoded itself."""
    return lambda answer: answer if isinstance(answer, bytes) else serialize(answer)


def _nothing(answer: object) -> None:
    """A stream has written its answers itself."""


def _current_task() -> asyncio.Task[Any]:
    """The task that serves the present call."""
    return cast("asyncio.Task[Any]", asyncio.current_task())
