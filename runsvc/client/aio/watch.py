"""A watch for asyncio that reconnects."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc

from runsvc.client.error import RunError, error_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import Self

    from runsvc.client.resume import Resumption
    from runsvc.v1.run_service_pb2 import StreamStatusRequest, StreamStatusResponse

    _Stream = grpc.aio.UnaryStreamCall[StreamStatusRequest, StreamStatusResponse]


class AsyncWatch:
    """An iterator over the events of a watch, each once and in order, across lost connections and server restarts.

    A wait for the next event may be given up, such as by `asyncio.wait_for(anext(watch), 1)`: the stream stays open,
    and the next wait continues it. Leaving the `async for` loop ends the server's stream. A watch that is kept in a
    variable must be closed, with `async with` or `aclose`.
    """

    def __init__(
        self,
        open_stream: Callable[[StreamStatusRequest], _Stream],
        has_new_token: Callable[[RunError], Awaitable[bool]],
        resumption: Resumption,
        on_reconnect: Callable[[RunError], object] | None,
    ) -> None:
        """Create a watch. `AsyncRunClient.watch` is the public way."""
        self._reader = _Reader(open_stream, has_new_token, resumption, on_reconnect)
        #: The read that is under way, or whose event nobody has received. It outlives a wait that was given up.
        self._read: asyncio.Task[StreamStatusResponse | None] | None = None
        self._waiting = False
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamStatusResponse:
        if self._waiting:
            raise RuntimeError("Another task waits for the next event of this watch.")
        self._waiting = True
        try:
            event = await asyncio.shield(self._current_read())
        except asyncio.CancelledError:
            # The wait was given up. The read continues, unless it was cancelled itself.
            if self._read is not None and self._read.cancelled():
                self._read = None
            raise
        except BaseException:
            self._read = None
            raise
        finally:
            self._waiting = False
        self._read = None
        if event is None:
            raise StopAsyncIteration
        return event

    def _current_read(self) -> asyncio.Task[StreamStatusResponse | None]:
        if self._read is None:
            self._read = asyncio.create_task(self._reader.next_event())
            # If nobody is waiting when it fails, the next wait raises the failure.
            self._read.add_done_callback(_retrieve_exception)
        return self._read

    async def aclose(self) -> None:
        """End the watch. If another task is waiting for the next event, its loop ends."""
        self._reader.close()

    def drop_stream(self) -> None:
        """Cancel the current stream. The next event opens a new one, unless the watch is closed."""
        self._reader.drop_stream()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reader.close()

    def __del__(self) -> None:
        # A loop that is left by break or by an exception drops its iterator, which ends the stream here. Garbage
        # collection may run in any thread.
        is_open = self._read is not None or self._reader.has_stream
        if is_open and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._reader.close)


class _Reader:
    """The streams of a watch. A read holds this object and not the watch, so that a watch that is dropped ends."""

    def __init__(
        self,
        open_stream: Callable[[StreamStatusRequest], _Stream],
        has_new_token: Callable[[RunError], Awaitable[bool]],
        resumption: Resumption,
        on_reconnect: Callable[[RunError], object] | None,
    ) -> None:
        self._open_stream = open_stream
        self._has_new_token = has_new_token
        self._resumption = resumption
        self._on_reconnect = on_reconnect
        self._stream: _Stream | None = None
        self._responses: AsyncIterator[StreamStatusResponse]
        self._closed = asyncio.Event()

    @property
    def has_stream(self) -> bool:
        """Whether a stream is open."""
        return self._stream is not None

    def close(self) -> None:
        """End the watch."""
        self._closed.set()
        self.drop_stream()

    def drop_stream(self) -> None:
        """Cancel the current stream."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()

    async def next_event(self) -> StreamStatusResponse | None:
        """Return the next event of the current or a new stream. None at the end."""
        while not self._closed.is_set():
            try:
                if self._stream is None:
                    self._open()
                event = await anext(self._responses)
                self._resumption.record(event)
                return event
            except StopAsyncIteration:
                self.close()
            except grpc.RpcError as failure:
                await self._recover(error_of(failure))
            except asyncio.CancelledError:
                # The watch was closed, the read was cancelled with its event loop, or the channel was closed.
                self.drop_stream()
                if self._closed.is_set():
                    break
                if _is_task_cancelled():
                    raise
                await self._recover(RunError(grpc.StatusCode.CANCELLED, from_transport=True))
            except BaseException:
                self.drop_stream()
                raise
        return None

    def _open(self) -> None:
        self._stream = self._open_stream(self._resumption.next_request())
        self._responses = aiter(self._stream)

    async def _recover(self, error: RunError) -> None:
        """Wait until the next stream may be opened. Raise an error that is not transient."""
        self.drop_stream()
        if self._closed.is_set():
            return
        try:
            renewed = await self._has_new_token(error)
            pause = self._resumption.pause_after(error, has_new_token=renewed)
            if pause is not None and self._on_reconnect:
                self._on_reconnect(error)
        except BaseException:
            self.close()
            raise
        if pause is None:
            self.close()
            return
        try:
            async with asyncio.timeout(pause):
                await self._closed.wait()
        except TimeoutError:
            pass


def _is_task_cancelled() -> bool:
    """Return whether the current task itself was cancelled."""
    task = asyncio.current_task()
    return task is None or bool(task.cancelling())


def _retrieve_exception(read: asyncio.Task[StreamStatusResponse | None]) -> None:
    """Mark the exception of a read as retrieved, so that asyncio does not log it."""
    if not read.cancelled():
        read.exception()
