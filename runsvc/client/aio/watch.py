"""A watch for asyncio that reconnects."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc

from runsvc.client.error import RunError, error_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Self

    from runsvc.client.resume import Resumption
    from runsvc.v1.run_service_pb2 import StreamStatusRequest, StreamStatusResponse

    _Stream = grpc.aio.UnaryStreamCall[StreamStatusRequest, StreamStatusResponse]


class AsyncWatch:
    """An iterator over the events of a watch, each once and in order, across lost connections and server restarts.

    Leaving the `async for` loop ends the server's stream. A watch that is kept in a variable must be closed, with
    `async with` or `aclose`.
    """

    def __init__(
        self,
        open_stream: Callable[[StreamStatusRequest], _Stream],
        resumption: Resumption,
        on_reconnect: Callable[[RunError], object] | None,
    ) -> None:
        """Create a watch. `AsyncRunClient.watch` is the public way."""
        self._open_stream = open_stream
        self._resumption = resumption
        self._on_reconnect = on_reconnect
        self._stream: _Stream | None = None
        self._responses: AsyncIterator[StreamStatusResponse]
        self._closed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamStatusResponse:
        event = await self._next_event()
        if event is None:
            raise StopAsyncIteration
        self._resumption.record(event)
        return event

    async def aclose(self) -> None:
        """End the watch. If another task is waiting for the next event, its loop ends."""
        self._close()

    def drop_stream(self) -> None:
        """Cancel the current stream. The next event opens a new one, unless the watch is closed."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    def __del__(self) -> None:
        # A loop that is left by break or by an exception drops its iterator, which ends the stream here. Garbage
        # collection may run in any thread.
        if self._stream is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stream.cancel)

    async def _next_event(self) -> StreamStatusResponse | None:
        """Return the next event of the current or a new stream. None at the end."""
        while not self._closed.is_set():
            try:
                if self._stream is None:
                    self._open()
                return await anext(self._responses)
            except StopAsyncIteration:
                self._close()
            except grpc.RpcError as failure:
                await self._recover(error_of(failure))
            except asyncio.CancelledError:
                # The watch was closed, the waiting task was cancelled, or the channel was closed.
                self.drop_stream()
                if self._closed.is_set():
                    break
                if _is_task_cancelled():
                    # The caller may only have stopped waiting: the next stream resumes here.
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
            pause = self._resumption.pause_after(error)
            if pause is not None and self._on_reconnect:
                self._on_reconnect(error)
        except BaseException:
            self._close()
            raise
        if pause is None:
            self._close()
            return
        try:
            async with asyncio.timeout(pause):
                await self._closed.wait()
        except TimeoutError:
            pass

    def _close(self) -> None:
        self._closed.set()
        self.drop_stream()


def _is_task_cancelled() -> bool:
    """Return whether the current task itself was cancelled."""
    task = asyncio.current_task()
    return task is None or bool(task.cancelling())
