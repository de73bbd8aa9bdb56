"""The guard around every call: it counts the call, refuses it while the server drains, and translates its failure."""

from __future__ import annotations

import asyncio
import gc
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

import grpc

from runsvc.auth.caller import caller_of
from runsvc.auth.permissions import check_role, roles_of
from runsvc.auth.principal import PLATFORM, Principal
from runsvc.core.errors import ServerDraining, Unauthenticated
from runsvc.rpc import gc_schedule
from runsvc.rpc.call_log import logged
from runsvc.rpc.failures import FailureLog
from runsvc.rpc.fairness import Fairness
from runsvc.rpc.holds import Holds
from runsvc.rpc.in_flight import InFlight
from runsvc.rpc.limits import URGENT
from runsvc.rpc.methods import nothing, parser, serializer
from runsvc.rpc.reflection import until_quiet
from runsvc.rpc.request_ids import RequestIds
from runsvc.rpc.status import to_status
from runsvc.rpc.untaken import READS, SMALL, Untaken

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from runsvc.auth.authenticator import Authenticator
    from runsvc.auth.permissions import Roles
    from runsvc.rpc.connections import Connections
    from runsvc.rpc.fairness import Shares
    from runsvc.rpc.limits import Limits
    from runsvc.rpc.methods import Behavior, Handler

#: Load balancers check health until the very end.
_HEALTH: Final = "/grpc.health.v1.Health/"
#: Waits for a run, which is no work.
_CLAIM: Final = "/runsvc.v1.RunService/Claim"
_OVERDUE: Final = "The deadline was over before the call began."


class Guard(grpc.GenericRpcHandler):
    """Holds every method of the server, and guards its handler.

    The generated code adds services to it as to a server. It is not an interceptor, which the transport would query on
    every call for an answer that never changes. Nor are methods registered with the transport, except one: it waits
    for the next call of each registered method, and re-registers every waiter on each call.
    """

    def __init__(
        self,
        connections: Connections,
        in_flight: InFlight | None = None,
        failures: FailureLog | None = None,
        gc_calls: int = gc_schedule.CALLS,
        untaken: Untaken | None = None,
        authenticator: Authenticator | None = None,
        limits: Limits | None = None,
        holds: Holds | None = None,
        shares: Shares | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.in_flight = in_flight or InFlight()
        self._connections = connections
        self._gc_calls = gc_calls
        self._handlers: dict[str, Handler] = {}
        self._failures = failures or FailureLog()
        self._request_ids = RequestIds()
        self._untaken = untaken or Untaken()
        self._authenticator = authenticator
        self._limits = limits
        self._holds = holds or Holds()
        #: Of all calls but those that keep runs alive or end them, and of these.
        self._fairness, self._urgent = (
            Fairness(lambda: self.in_flight.arrived, self._holds, now, shares) for _ in range(2)
        )

    def add_generic_rpc_handlers(self, _handlers: object) -> None:
        """Do nothing: the generated code adds every method by name as well."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Serve the methods of a service, by name. Raise LookupError for a method without permissions."""
        for name, handler in handlers.items():
            method = f"/{service}/{name}"
            self._handlers[method] = self._guard(method, handler, roles_of(service, name))

    def registered(self, service: str, method: str) -> dict[str, Handler]:
        """A method to register with the transport, which then queues its calls apart from all others."""
        return {method: self._handlers[f"/{service}/{method}"]}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """The guarded handler of a method."""
        return self._handlers.get(handler_call_details.method)

    def _guard(self, method: str, handler: Handler, roles: Roles | None) -> Handler:
        if handler.unary_unary is not None:
            serialize = serializer(handler.response_serializer)
            return grpc.unary_unary_rpc_method_handler(
                self._wrap(method, handler.unary_unary, handler, serialize, roles)
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._wrap(method, handler.unary_stream, handler, nothing, roles),
                response_serializer=serializer(handler.response_serializer),
            )
        # Only reflection has bidirectional streams.
        return until_quiet(handler, self.in_flight)

    def _wrap(
        self,
        method: str,
        behavior: Callable[..., Awaitable[Any]],
        handler: Handler,
        serialize: Callable[[Any], Any],
        roles: Roles | None,
    ) -> Behavior:
        parse = parser(handler.request_deserializer)
        is_stream = serialize is nothing
        untaken = self._untaken
        in_flight, note_call, gc_calls = self.in_flight, self._connections.note_call, self._gc_calls
        authenticator, limits = self._authenticator, self._limits
        fairness = self._urgent if method in URGENT else self._fairness

        async def call(request: bytes, context: Any) -> Any:
            in_flight.arrived += 1
            if in_flight.arrived % gc_calls == 0:
                gc.collect(gc_schedule.generation(in_flight.arrived // gc_calls))
            in_flight.active += 1
            in_flight.streams_arrived += is_stream
            in_flight.active_streams += is_stream
            peer, party = context.peer(), None
            note_call(peer)
            try:
                if in_flight.is_draining:
                    await self._refuse(method)
                if context.time_remaining() == 0:
                    # The call waited until its caller gave up: it must have no effect.
                    await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, _OVERDUE)
                if roles is None:
                    return serialize(await behavior(parse(request), context))
                metadata, principal = context.invocation_metadata(), PLATFORM
                if authenticator is not None:
                    found = authenticator.authenticate(metadata, context.auth_context)
                    principal = found if isinstance(found, Principal) else await found
                check_role(principal, roles, method)
                caller = caller_of(principal, metadata)
                if limits is not None:
                    await limits.admit(caller, method, context, is_stream=is_stream)
                if untaken.by_connection:
                    untaken.check(peer)
                if not is_stream and not fairness.may_start(caller.scope or peer):
                    await fairness.turn(caller.scope or peer, context)
                    if method == _CLAIM:
                        fairness.end(caller.scope or peer)
                    else:
                        party = caller.scope or peer
                answer = serialize(await behavior(parse(request), context, caller))
                if answer is not None and len(answer) > SMALL:
                    if method in READS:
                        # Any other call may have taken effect, so it gets its answer.
                        untaken.check(peer, len(answer))
                    untaken.add(context, len(answer))
                return answer
            except BaseException as error:
                await self._abort(error, context, method)
                raise
            finally:
                in_flight.active -= 1
                in_flight.active_streams -= is_stream
                if party is not None:
                    fairness.end(party)
                # See _abort.
                del context

        return logged(method, call, self._request_ids)

    async def _refuse(self, method: str) -> None:
        """Raise ServerDraining once the transport has begun its stop.

        Clients that are refused before retry at once, on a connection whose calls the transport then ends as CANCELLED.
        """
        if not method.startswith(_HEALTH):
            await self.in_flight.quiet.wait()
            raise ServerDraining

    async def _abort(self, error: BaseException, context: Any, method: str) -> None:
        """Abort the call with the status of its failure. Return if the transport handles the failure itself."""
        if isinstance(error, grpc.aio.AbortError) or not _is_failure(error):
            return
        if _is_vanished(error, context):
            # A write failed because its client is gone: the transport treats it as any other cancelled call.
            raise asyncio.CancelledError from error
        if isinstance(error, Unauthenticated) and not self._fairness.may_start(context.peer()):
            await self._holds.hold(context)
        request_id = self._request_ids.of(context)
        status = to_status(error, request_id)
        self._failures.record(error, status.code, f"{method}, request {request_id}")
        # A call keeps the exception that aborted it, and the frames that an exception passed keep their variables.
        # Where these lead back to the call, each refusal is a cycle for the garbage collector.
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
        # One that leaked from another task would leave the client without any status.
        return not _current_task().cancelling()
    return isinstance(error, Exception)


def _is_vanished(error: BaseException, context: Any) -> bool:
    if isinstance(error, grpc.aio.UsageError):
        return bool(context.done())
    return isinstance(error, grpc.aio.InternalError)


def _current_task() -> asyncio.Task[Any]:
    """The task that serves the present call."""
    return cast("asyncio.Task[Any]", asyncio.current_task())
