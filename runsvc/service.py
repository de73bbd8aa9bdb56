"""The assembly: a store engine, the writer, the hub, background jobs and use-cases behind a door, and their life cycle.

A door, such as the gRPC server, takes the use-cases and follows the same steps: start, announce, withdraw, drain.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from runsvc.commit.group_commit import GroupCommit
from runsvc.commit.writer import DEFAULT_BATCHING, LATE_BATCHING, Writer
from runsvc.engines import open_store
from runsvc.maintenance import attachments as attached
from runsvc.maintenance import expiry, registration, retention
from runsvc.maintenance.attachments import Attachments
from runsvc.maintenance.compaction import Compaction
from runsvc.maintenance.expiry import Expiry
from runsvc.maintenance.lease_clock import LeaseClock
from runsvc.maintenance.promotions import INTERVAL as PROMOTIONS_INTERVAL
from runsvc.maintenance.promotions import Promotions
from runsvc.maintenance.registration import Registration
from runsvc.maintenance.retention import Retention
from runsvc.maintenance.store_health import StoreHealth
from runsvc.maintenance.sweeper import Job, Sweeper
from runsvc.maintenance.wakes import INTERVAL as WAKES_INTERVAL
from runsvc.maintenance.wakes import Wakes
from runsvc.rpc import gc_schedule
from runsvc.rpc.in_flight import InFlight
from runsvc.rpc.limits import LimitSettings
from runsvc.rpc.listen import addresses
from runsvc.rpc.security import Security
from runsvc.rpc.server import OPTIONS, GrpcServer
from runsvc.sharing import Sharing
from runsvc.stop_signals import StopSignals
from runsvc.timekeeper import Timekeeper
from runsvc.usecases.admin import Admin
from runsvc.usecases.dispatch import Dispatch
from runsvc.usecases.manager import RunManager
from runsvc.usecases.waiting_claims import WaitingClaims
from runsvc.watch.fan_out import FanOut
from runsvc.watch.hub import StatusHub
from runsvc.watch.stream import Watches
from runsvc.wire.codec import RunCodec

try:
    import uvloop
except (
    ImportError
):  # pragma: no cover - uvloop does not support Windows; asyncio's own loop serves, slower.
    new_loop = None
else:
    new_loop = uvloop.new_event_loop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from runsvc.commit.group_commit import Committed
    from runsvc.rpc.server import Option
    from runsvc.settings import Settings
    from runsvc.store.base import Store
    from runsvc.watch.tail import Tail

#: The part of its pause by which a job of one of several servers is earlier or later than those of the others.
STAGGER: Final = 0.2

logger = logging.getLogger(__name__)


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, then drain; a second signal stops at once (see StopSignals).

    Call `ready` with the addresses once the server answers. Raise StoreRefused, ListenRefused, FileRefused,
    StoreUnavailable.
    """
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(settings, ready))


@asynccontextmanager
async def running(
    settings: Settings,
    timekeeper: Timekeeper | None = None,
    options: Iterable[Option] = OPTIONS,
    store: Store | None = None,
) -> AsyncIterator[str]:
    """Run a server for the duration of the block; yield its addresses, with commas between them. Errors as in serve.

    `store` takes the place of the one that the settings name.
    """
    # Before the store, which would be created although nothing is served.
    security = Security.of(settings)
    timekeeper = timekeeper or Timekeeper()
    # Parts stop in the reverse order of their start, also when one of them fails to start.
    async with AsyncExitStack() as stack:
        store = store or open_store(settings, timekeeper)
        await store.open()
        stack.push_async_callback(store.close)
        yield ",".join(await _start(store, settings, timekeeper, options, stack, security))


async def _serve(settings: Settings, ready: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    StopSignals(lambda: loop.call_soon_threadsafe(stop.set)).install()
    async with running(settings) as address:
        gc_schedule.start()
        ready(address)
        await stop.wait()
    logger.info("stopped")


async def _start(
    store: Store,
    settings: Settings,
    timekeeper: Timekeeper,
    options: Iterable[Option],
    stack: AsyncExitStack,
    security: Security,
) -> list[str]:
    codec, in_flight = RunCodec(), InFlight()
    hub = StatusHub(store.reading, fan_out=FanOut(in_flight.unary_arrived))
    lease_clock = LeaseClock(timekeeper, expiry.INTERVAL)
    store_health = StoreHealth(timekeeper.monotonic)
    waiting = WaitingClaims()
    sharing = _sharing(store, hub, waiting, codec, with_hints=not settings.poll_only)
    if sharing is None:
        await hub.start()
    else:
        await sharing.start(stack)
    listeners: list[Callable[[Committed], None]] = []
    is_shared = sharing is not None
    feed = hub if sharing is None else sharing.tail
    publish = _publisher(feed, lease_clock, store_health, listeners)
    batching = LATE_BATCHING if is_shared else DEFAULT_BATCHING
    writer = Writer(GroupCommit(store.writing, codec), publish, batching=batching)
    dispatch = Dispatch(writer, waiting)
    wakes = Wakes(writer, timekeeper, is_shared=is_shared)
    promotions = Promotions(writer, is_shared=is_shared)
    listeners += dispatch.publish, wakes.note, promotions.note
    stack.push_async_callback(writer.close)
    attachments = Attachments(
        writer,
        lease_clock,
        timekeeper,
        grace=timedelta(seconds=settings.attach_grace),
        reconnect_grace=timedelta(seconds=settings.reconnect_grace),
        is_shared=is_shared,
    )
    registering = Registration(writer, lease_clock, attachments)
    others: Sequence[str] = ()
    if is_shared:
        others = await registering.start()
        stack.push_async_callback(registering.close)
    admin = Admin(writer, store, hub, codec, lease_clock, attachments)
    if settings.orphans == "fail":
        await _fail_orphans(admin, settings.orphan_error, others)

    manager = RunManager(
        writer,
        store.reading,
        codec,
        max_active_per_thread=settings.max_active_per_thread,
        max_active_per_owner=settings.max_active_per_owner,
        max_queued_per_thread=settings.max_queued_per_thread,
    )
    watches = Watches(store.reading, hub, codec, lease_clock, attachments)
    limits = LimitSettings(
        max_calls=settings.max_calls,
        max_rate_per_owner=settings.max_rate_per_owner,
        max_watches_per_owner=settings.max_watches_per_owner,
    )
    door = GrpcServer(
        manager,
        dispatch,
        admin,
        watches,
        codec,
        in_flight,
        timekeeper.monotonic,
        options,
        security.authenticator,
        tls=security.tls,
        reflect=not settings.no_reflection,
        limits=limits,
    )
    store_health.report = door.report_store
    listening = await door.start(addresses(settings.listen))

    stack.push_async_callback(drain, door, hub, dispatch, settings.grace)
    # Started last and stopped first: a lease expires only while the server takes renewals.
    jobs = _jobs(settings, writer, store, lease_clock, attachments)
    if is_shared:
        jobs.append(Job("Registration", registration.INTERVAL, registering.run))
    jobs += [
        Job("Start of delayed runs", WAKES_INTERVAL, wakes.run),
        Job("Start of queued runs", PROMOTIONS_INTERVAL, promotions.run),
        *security.jobs,
    ]
    sweeper = Sweeper(jobs, stagger=STAGGER if is_shared else 0.0)
    stack.push_async_callback(_cancelled, asyncio.create_task(sweeper.run()))
    door.announce()
    return listening


async def _fail_orphans(admin: Admin, error: str, others: Sequence[str]) -> None:
    """End the active runs without a live lease, unless other servers are alive: executors may report to them."""
    if others:
        logger.warning("Orphans are kept: %d other servers use the store.", len(others))
        return
    count = await admin.reconcile_all(error)
    logger.info("Ended %d active runs without a lease as ERROR", count)


async def drain(door: GrpcServer, hub: StatusHub, dispatch: Dispatch, grace: float) -> None:
    """Stop serving in the order that clients rely on.

    Load balancers turn away first, then watches and waiting claims end with ServerDraining, then new calls are refused
    and those under way have `grace` seconds to end.
    """
    door.withdraw()
    hub.drain()
    dispatch.drain()
    await door.drain(grace)


def _sharing(
    store: Store, hub: StatusHub, waiting: WaitingClaims, codec: RunCodec, *, with_hints: bool
) -> Sharing | None:
    """The work that only a server of a shared store has."""
    if store.shared is None:
        return None
    return Sharing(store.shared, hub, waiting, codec, with_hints=with_hints)


def _jobs(
    settings: Settings,
    writer: Writer,
    store: Store,
    lease_clock: LeaseClock,
    attachments: Attachments,
) -> list[Job]:
    """The background work of a server."""
    keep_log = Compaction(
        writer, store.reading, lease_clock, keep=settings.log_keep, keep_age=settings.log_keep_age
    )
    expire = Expiry(writer, lease_clock, stop_grace=timedelta(seconds=settings.stop_grace))
    compaction_interval = timedelta(seconds=settings.compaction_interval)
    jobs = [
        Job("Run expiry", expiry.INTERVAL, expire.run),
        Job("Attachment update", attached.INTERVAL, attachments.run),
        Job("Log compaction", compaction_interval, keep_log.run),
    ]
    if settings.retain_runs is not None:
        keep_runs = Retention(writer, store.reading, lease_clock, settings.retain_runs)
        jobs.append(Job("Run retention", retention.INTERVAL, keep_runs.run))
    return jobs


def _publisher(
    feed: StatusHub | Tail,
    lease_clock: LeaseClock,
    store_health: StoreHealth,
    listeners: Sequence[Callable[[Committed], None]],
) -> Callable[[Committed], None]:
    def publish(committed: Committed) -> None:
        store_health.note(committed)
        if committed.failed:
            lease_clock.begin_outage()
        feed.publish(committed)
        for listener in listeners:
            listener(committed)

    return publish


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])
