"""Heartbeats from a thread, so that work that blocks the event loop keeps its lease."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

import grpc

from runsvc.client.bearer import RememberedToken
from runsvc.client.channel import connect
from runsvc.client.error import RunError, error_of
from runsvc.client.fence import now
from runsvc.client.retry import Backoff
from runsvc.v1.run_service_pb2_grpc import RunServiceStub

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from runsvc.client.owner import Metadata
    from runsvc.client.settings import Settings
    from runsvc.v1.run_pb2 import Run
    from runsvc.v1.run_service_pb2 import HeartbeatRequest


class Heartbeat:
    """The heartbeats of one execution."""

    def __init__(
        self,
        request: HeartbeatRequest,
        interval: float,
        timeout: float,
        metadata: Metadata,
        record: Callable[[Run | BaseException, float], bool],
    ) -> None:
        """Create heartbeats. `record` is called in another thread with an answer or a failure, and the time of sending.

        It returns whether heartbeats go on.
        """
        self.request = request
        self.interval = interval
        self.timeout = timeout
        self.metadata = metadata
        self.record = record
        self.backoff = Backoff()
        self.is_ended = False


class Heartbeats:
    """One thread and one connection for the heartbeats of all executions of a client.

    They start with the first execution that needs them, and end with the last.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._condition = threading.Condition()
        #: Due time and heartbeat, the earliest first. The number keeps equal times in order.
        self._due: list[tuple[float, int, Heartbeat]] = []
        self._numbers = itertools.count()
        self._active = 0
        self._thread: threading.Thread | None = None
        self._loop: AbstractEventLoop | None = None

    def start(self, heartbeat: Heartbeat, loop: AbstractEventLoop) -> None:
        """Send heartbeats until `end`."""
        with self._condition:
            self._loop = loop
            self._active += 1
            self._plan(heartbeat, heartbeat.interval)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)
                self._thread.start()

    def end(self, heartbeat: Heartbeat) -> None:
        """Send no further heartbeat."""
        with self._condition:
            if not heartbeat.is_ended:
                heartbeat.is_ended = True
                self._active -= 1
                self._condition.notify()

    def _plan(self, heartbeat: Heartbeat, pause: float) -> None:
        entry = (time.monotonic() + pause, next(self._numbers), heartbeat)
        heapq.heappush(self._due, entry)
        self._condition.notify()

    def _run(self) -> None:
        channel: grpc.Channel | None = None
        try:
            while (heartbeat := self._next()) is not None:
                channel = channel or self._connect()
                self._send(RunServiceStub(channel), heartbeat)
        finally:
            if channel is not None:
                channel.close()

    def _next(self) -> Heartbeat | None:
        """Wait for a heartbeat that is due. None if no execution is left."""
        with self._condition:
            while self._active:
                while self._due and self._due[0][2].is_ended:
                    heapq.heappop(self._due)
                pause = self._due[0][0] - time.monotonic() if self._due else None
                if pause is not None and pause <= 0:
                    return heapq.heappop(self._due)[2]
                self._condition.wait(pause)
            self._due.clear()
            self._thread = None
            return None

    def _connect(self) -> grpc.Channel:
        token, loop = self._settings.token, self._loop
        if isinstance(token, RememberedToken) and loop is not None:
            token = token.for_thread(loop)
        return connect(self._settings.target, token=token, **self._settings.tls)

    def _send(self, stub: RunServiceStub, heartbeat: Heartbeat) -> None:
        sent = now()
        try:
            call: Any = stub.Heartbeat.future(
                heartbeat.request, timeout=heartbeat.timeout, metadata=heartbeat.metadata
            )
        except Exception as failure:  # noqa: BLE001 - the execution raises it.
            heartbeat.record(failure, sent)
        else:
            call.add_done_callback(lambda done: self._answered(done, heartbeat, sent))

    def _answered(self, call: Any, heartbeat: Heartbeat, sent: float) -> None:
        answer, pause = _result_of(call), heartbeat.interval
        if isinstance(answer, RunError):
            pause = min(pause, heartbeat.backoff.pause_after(answer))
        elif not isinstance(answer, BaseException):
            heartbeat.backoff.reset()
        if heartbeat.record(answer, sent):
            with self._condition:
                if not heartbeat.is_ended:
                    self._plan(heartbeat, pause)


def _result_of(call: Any) -> Any:
    """Return the run of an answer, or the failure."""
    try:
        return call.result().run
    except grpc.RpcError as failure:
        return error_of(failure)
    except grpc.FutureCancelledError:
        return RunError(grpc.StatusCode.CANCELLED, from_transport=True)
    except Exception as failure:  # noqa: BLE001 - a token function failed; the execution raises it.
        return failure
