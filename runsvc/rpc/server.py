"""The gRPC server: a door to the use-cases. It starts, serves and drains."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from runsvc.rpc.admin_servicer import AdminServicer
from runsvc.rpc.audit import Audit
from runsvc.rpc.connections import Connections
from runsvc.rpc.guard import Guard
from runsvc.rpc.health import SERVICES, Health
from runsvc.rpc.limits import Limits
from runsvc.rpc.listen import bind_all
from runsvc.rpc.run_servicer import RunServicer
from runsvc.v1.admin_service_pb2_grpc import add_AdminServiceServicer_to_server
from runsvc.v1.run_service_pb2_grpc import add_RunServiceServicer_to_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runsvc.auth.authenticator import Authenticator
    from runsvc.rpc.in_flight import InFlight
    from runsvc.rpc.limits import LimitSettings
    from runsvc.rpc.tls import Tls
    from runsvc.store.base import Codec
    from runsvc.usecases.admin import Admin
    from runsvc.usecases.dispatch import Dispatch
    from runsvc.usecases.manager import RunManager
    from runsvc.watch.stream import Watches

Option = tuple[str, int]

HEALTH: Final = "grpc.health.v1.Health"
#: Most calls under way on one connection, watches included.
MAX_STREAMS: Final = 250
#: Options of the transport.
OPTIONS: Final[tuple[Option, ...]] = (
    # Otherwise a second server would share the port and get half of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 4 << 20),
    # Calls that wait for the event loop: a queue of some hundred milliseconds. The transport ends those above the first
    # number at random, and all above the second, as CANCELLED, before they cost anything. A longer queue holds calls
    # whose callers have given up by the time of their turn.
    ("grpc.server.max_pending_requests", 300),
    ("grpc.server.max_pending_requests_hard_limit", 450),
    # Of one connection. A client that opens and resets streams in a loop cannot delay the others. Further calls of a
    # connection wait at the client, so clients open another connection for more watches.
    ("grpc.max_concurrent_streams", MAX_STREAMS),
    # Otherwise calls that have ended, but whose memory is not free yet, count towards that limit, and a client that
    # observes it is refused at random. The queue above bounds streams that are reset.
    ("grpc.http.overload_protection", 0),
    # Only identity, bit 0: five megabytes of gzip can expand to gigabytes. A compressed request is UNIMPLEMENTED.
    ("grpc.compression_enabled_algorithms_bitset", 1),
    # A connection on which nothing, or too little, arrives.
    ("grpc.server_handshake_timeout_ms", 20_000),
    # A frozen client is noticed within half a minute. The timeout needs both settings.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Pings from clients that are more frequent close the connection.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    # Nothing else closes the connection of a client that answers pings but takes no data. Other clients reconnect,
    # which also spreads them over servers; they have a minute to finish their calls, and watches resume.
    ("grpc.max_connection_age_ms", 30 * 60_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
)

#: Seconds that the transport has to send the last answers.
LAST_ANSWERS: Final = 1.0


class GrpcServer:
    """Serves both services, health and reflection. Lives on the event loop."""

    def __init__(
        self,
        manager: RunManager,
        dispatch: Dispatch,
        admin: Admin,
        watches: Watches,
        codec: Codec,
        in_flight: InFlight,
        monotonic: Callable[[], float],
        options: Iterable[Option] = OPTIONS,
        authenticator: Authenticator | None = None,
        *,
        tls: Tls | None = None,
        reflect: bool = True,
        limits: LimitSettings | None = None,
    ) -> None:
        """Without an authenticator, every caller is the platform. Without `reflect`, there is no reflection."""
        self._tls = tls
        self._health = Health()
        self._in_flight = in_flight
        options = tuple(options)
        connections = _connections(dict(options), monotonic)
        audit = Audit()
        guard = _guard(
            in_flight,
            connections,
            RunServicer(manager, dispatch, watches, codec, connections, audit),
            AdminServicer(admin, audit),
            self._health,
            authenticator,
            Limits(limits, in_flight, monotonic) if limits and limits.any else None,
            reflect=reflect,
        )
        self._server = grpc.aio.server(options=options)
        self._server.add_generic_rpc_handlers((guard,))
        # Health checks do not wait behind other calls, and are not shed with them.
        self._server.add_registered_method_handlers(HEALTH, guard.registered(HEALTH, "Check"))

    async def start(self, listen: Sequence[str]) -> list[str]:
        """Listen on each address; return them with the ports that were bound. Raise ListenRefused."""
        addresses = bind_all(self._server, listen, self._tls)
        await self._server.start()
        return addresses

    def announce(self) -> None:
        """Report SERVING in health."""
        self._health.set_serving(True)

    def report_store(self, works: bool) -> None:
        """Report in health whether the store takes writes."""
        self._health.set_store_works(works)

    def withdraw(self) -> None:
        """Report NOT_SERVING in health, and end its watches: the first step of a stop."""
        self._health.end()

    async def drain(self, grace: float) -> None:
        """Refuse new calls, and wait at most `grace` seconds for the answers of those under way."""
        in_flight = self._in_flight
        await in_flight.drain()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._server.stop(grace))
            # The stop begins and announces itself on every connection (GOAWAY). Only then are waiting calls refused:
            # their clients cannot repeat them on these connections, where the transport would end them as CANCELLED.
            await asyncio.sleep(0)
            in_flight.refuse()
            await in_flight.ended_or_stuck()
            # The last answers may still be on their way. Then only clients that take nothing are left.
            await self._server.stop(min(grace, LAST_ANSWERS))
        # stop() returns before the handlers have ended.
        await in_flight.ended()


def _guard(
    in_flight: InFlight,
    connections: Connections,
    runs: RunServicer,
    admin: AdminServicer,
    health: Health,
    authenticator: Authenticator | None,
    limits: Limits | None,
    *,
    reflect: bool,
) -> Guard:
    guard = Guard(connections, in_flight, authenticator=authenticator, limits=limits)
    services: Any = guard
    # Their handlers take the caller as well.
    servicers: tuple[Any, Any] = (runs, admin)
    add_RunServiceServicer_to_server(servicers[0], services)
    add_AdminServiceServicer_to_server(servicers[1], services)
    health_pb2_grpc.add_HealthServicer_to_server(health, services)
    if reflect:
        _add_reflection(services)
    return guard


def _add_reflection(services: Any) -> None:
    names = (*filter(None, SERVICES), HEALTH, reflection.SERVICE_NAME)
    reflected = reflection.aio.ReflectionServicer(names)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]
        reflected, services
    )


def _connections(options: dict[str, int], monotonic: Callable[[], float]) -> Connections:
    age, grace = (
        options[f"grpc.max_connection_{name}_ms"] / 1_000 for name in ("age", "age_grace")
    )
    return Connections(age, grace, monotonic)
