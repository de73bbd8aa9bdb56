"""The server: what it is made of, and how it starts, serves and stops."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import signal
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from runsvc.admin import ORPHAN_ERROR, Admin
from runsvc.commit.group_commit import GroupCommit
from runsvc.commit.writer import Writer
from runsvc.core.errors import ListenRefused
from runsvc.maintenance import expiry
from runsvc.maintenance.attachments import GRACE, Attachments
from runsvc.maintenance.expiry import Expiry
from runsvc.maintenance.lease_clock import LeaseClock
from runsvc.maintenance.retention import Retention
from runsvc.maintenance.sweeper import Sweeper
from runsvc.manager import RunManager
from runsvc.rpc import gc_schedule
from runsvc.rpc.admin_servicer import AdminServicer
from runsvc.rpc.connections import Connections
from runsvc.rpc.guard import Guard
from runsvc.rpc.health import SERVICES, Health
from runsvc.rpc.run_servicer import RunServicer
from runsvc.store.sqlite import SqliteStore
from runsvc.timekeeper import LONGEST, Timekeeper
from runsvc.v1.admin_service_pb2_grpc import add_AdminServiceServicer_to_server
from runsvc.v1.run_service_pb2_grpc import add_RunServiceServicer_to_server
from runsvc.watch.hub import StatusHub
from runsvc.watch.stream import Watches
from runsvc.wire.codec import RunCodec

try:
    import uvloop
except (
    ImportError
):  # pragma: no cover - there is none for Windows; asyncio's own loop serves, slower.
    new_loop = None
else:
    new_loop = uvloop.new_event_loop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from runsvc.commit.group_commit import Committed
    from runsvc.store.base import Store

logger = logging.getLogger(__name__)

OPTIONS: Final = (
    # Otherwise a second server would share the port, and get half of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 4 << 20),
    # A burst beyond the default of about 1,000 waiting calls would be shed as CANCELLED, at random.
    ("grpc.server.max_pending_requests", 20_000),
    ("grpc.server.max_pending_requests_hard_limit", 30_000),
    # A client that froze is noticed within half a minute; the timeout takes both settings.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # What a client may do without being sent away for too many pings.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    # A client that answers pings but takes no data is let go by nothing else. The others are told to connect anew,
    # which also spreads them over servers, and have a minute to end what they have begun; a watch resumes.
    ("grpc.max_connection_age_ms", 30 * 60_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
)


#: Seconds that the transport has for what it was given last.
LAST_ANSWERS: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a server can be told. ValueError for a length of time that is negative, or longer than a century."""

    #: Address to listen on; port 0 picks a free one.
    listen: str
    #: The store's file.
    db: Path
    #: What to do at start with runs that were left active without a lease: keep or fail.
    orphans: str = "keep"
    #: Error of the runs that are failed.
    orphan_error: str = ORPHAN_ERROR
    #: Log entries that are kept for watchers to resume from.
    log_keep: int = 100_000
    #: How long log entries are kept at most; None: as long as there is room for them.
    log_keep_age: timedelta | None = None
    #: How long runs are kept after their end; None: for ever.
    retain_runs: timedelta | None = None
    max_active_per_thread: int = 1_000
    #: Seconds that the last attached client of a run has to come back before the run is cancelled.
    attach_grace: float = GRACE.total_seconds()
    #: Allow an address that other machines reach, though nothing is encrypted.
    insecure_listen: bool = False
    #: Seconds that calls in flight have to end at shutdown.
    grace: float = 10.0

    def __post_init__(self) -> None:
        for name in ("log_keep_age", "retain_runs"):
            length = getattr(self, name)
            if length is not None and not timedelta(0) <= length <= LONGEST:
                raise ValueError(f"{name} must be 0 to {LONGEST.days} days")


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal stops at once.

    Calls `ready` with the address once the server answers. StoreRefused, ListenRefused, StoreUnavailable.
    """
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(settings, ready))


@asynccontextmanager
async def running(settings: Settings, timekeeper: Timekeeper | None = None) -> AsyncIterator[str]:
    """A server for as long as the block lasts; yields its address. Errors as in serve."""
    check_listen(settings)
    timekeeper = timekeeper or Timekeeper()
    # What started last stops first, also when something in between fails to start.
    async with AsyncExitStack() as stack:
        store = SqliteStore(settings.db, RunCodec(), timekeeper)
        await store.open()
        stack.push_async_callback(store.close)
        yield await _start(store, settings, timekeeper, stack)


def check_listen(settings: Settings) -> None:
    """ListenRefused for what is no address, and for one that other machines reach unless that was asked for."""
    host, _, port = settings.listen.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()):
        raise ListenRefused(settings.listen, "write it as HOST:PORT, such as 127.0.0.1:50051")
    # The transport would take the port modulo 65536.
    if int(port) > _MAX_PORT:
        raise ListenRefused(settings.listen, f"the port must be 0 to {_MAX_PORT}")
    if not settings.insecure_listen and not _is_loopback(host):
        if not _addresses(host):
            raise ListenRefused(settings.listen, _UNRESOLVED)
        raise ListenRefused(
            settings.listen,
            "other machines reach it and nothing is encrypted: listen on 127.0.0.1, or add --insecure-listen",
        )


async def _serve(settings: Settings, ready: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        logger.info("%s: draining", signal.Signals(number).name)
        stop.set()
        for each in _SIGNALS:
            # The next one kills, as if nobody had asked.
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)

    for each in _SIGNALS:
        loop.add_signal_handler(each, on_signal, each)
    async with running(settings) as address:
        gc_schedule.start()
        ready(address)
        await stop.wait()
    logger.info("stopped")


_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_MAX_PORT: Final = 65_535

_UNRESOLVED: Final = (
    "the host name does not resolve: write it as HOST:PORT, such as 127.0.0.1:50051"
)
_OBSTACLES: Final = {
    errno.EADDRINUSE: "it is in use: choose another with --listen or RUNSVC_SERVE_LISTEN; 127.0.0.1:0 picks a free one",
    errno.EADDRNOTAVAIL: "it is no address of this machine: choose another, such as --listen 127.0.0.1:0",
    errno.EACCES: "this user may not open the port: choose one above 1023, such as --listen 127.0.0.1:50051",
}


async def _start(
    store: Store, settings: Settings, timekeeper: Timekeeper, stack: AsyncExitStack
) -> str:
    codec = RunCodec()
    connections = _connections(timekeeper)
    guard, health = Guard(connections), Health()
    hub, serving = (
        StatusHub(store.reading, calls=guard.asked),
        LeaseClock(timekeeper, expiry.INTERVAL),
    )
    await hub.start()

    def publish(committed: Committed) -> None:
        if committed.failed:
            serving.interrupt()
        hub.publish(committed)

    writer = Writer(GroupCommit(store.writing, codec), publish)
    stack.push_async_callback(writer.close)
    attach_grace = timedelta(seconds=settings.attach_grace)
    attachments = Attachments(writer, serving, timekeeper, grace=attach_grace)
    admin = Admin(writer, store, hub, codec, serving, attachments)
    keep = settings.retain_runs
    retention = None if keep is None else Retention(writer, store.reading, serving, keep)
    sweeper = Sweeper(
        writer,
        store.reading,
        admin,
        serving,
        Expiry(writer, serving),
        attachments,
        retention,
        log_keep=settings.log_keep,
        log_keep_age=settings.log_keep_age,
    )
    if settings.orphans == "fail":
        count = await sweeper.reconcile(settings.orphan_error)
        logger.info("Runs that were left active and are ERROR now: %d", count)

    manager = RunManager(
        writer, store.reading, codec, max_active_per_thread=settings.max_active_per_thread
    )
    watches = Watches(store.reading, hub, codec, serving, attachments)
    server = grpc.aio.server(options=OPTIONS)
    services: Any = guard
    servicer: Any = RunServicer(manager, watches, codec, connections)
    add_RunServiceServicer_to_server(servicer, services)
    add_AdminServiceServicer_to_server(AdminServicer(admin), services)
    health_pb2_grpc.add_HealthServicer_to_server(health, services)
    names = (*filter(None, SERVICES), "grpc.health.v1.Health", reflection.SERVICE_NAME)
    reflected = reflection.aio.ReflectionServicer(names)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]
        reflected, services
    )
    server.add_generic_rpc_handlers((guard,))
    port = _bind(server, settings.listen)
    await server.start()

    async def drain() -> None:
        health.end()
        hub.drain()
        await guard.drain()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.stop(settings.grace))
            await guard.settled()
            # Answers may still be on their way. What is left then is for clients that take nothing.
            await server.stop(min(settings.grace, LAST_ANSWERS))
        # stop() returns before the handlers have come to their ends.
        await guard.drained()

    stack.push_async_callback(drain)
    # From now on leases count, until no more renewals are taken.
    stack.push_async_callback(_cancelled, asyncio.create_task(sweeper.run()))
    health.serving(True)
    return f"{settings.listen.rpartition(':')[0]}:{port}"


def _connections(timekeeper: Timekeeper) -> Connections:
    options = dict(OPTIONS)
    age, grace = (
        options[f"grpc.max_connection_{name}_ms"] / 1_000 for name in ("age", "age_grace")
    )
    return Connections(age, grace, timekeeper.monotonic)


def _bind(server: grpc.aio.Server, listen: str) -> int:
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as error:
        raise ListenRefused(listen, _obstacle(listen)) from error
    return port


def _obstacle(listen: str) -> str:
    """Why an address cannot be bound: the transport tells only its log."""
    host, _, port = listen.rpartition(":")
    addresses = _addresses(host)
    if not addresses:
        return _UNRESOLVED
    for family, address in addresses:
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                # As the transport does: connections that ended a moment ago are not in the way.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, int(port)))
        except OSError as error:
            return _OBSTACLES.get(error.errno or 0, error.strerror or str(error))
    # Whoever had it a moment ago has let go.
    return _OBSTACLES[errno.EADDRINUSE]


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """What a host name stands for; nothing when it stands for nothing."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [(family, str(address[0])) for family, _, _, _, address in found]


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
