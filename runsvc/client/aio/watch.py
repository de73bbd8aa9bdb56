"""A watch for asyncio that outlives its streams."""

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
    """The events of a watch, each once and in order, across lost connections and restarts of the server.

    Leaving the loop ends the server's stream. Whoever keeps the watch itself in a variable closes it: with `async
    with`, or with `aclose()`.
    """

    def __init__(
        self,
        open_stream: Callable[[StreamStatusRequest], _Stream],
        resumption: Resumption,
        on_reconnect: Callable[[RunError], object] | None,
    ) -> None:
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
        event = await self._received()
        if event is None:
            raise StopAsyncIteration
        self._resumption.heard(event)
        return event

    async def aclose(self) -> None:
        """End the watch, also while another task waits for its next event: there it ends the loop."""
        self._close()

    def drop(self) -> None:
        """End the present stream. If there is a next event to come, another one is opened for it."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    def __del__(self) -> None:
        # A loop that was left by break or by an exception lets go of its iterator at once. The garbage collector may
        # come from any thread.
        if self._stream is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stream.cancel)

    async def _received(self) -> StreamStatusResponse | None:
        """The next event of whichever stream; None at the end."""
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
                # By our own end, with the task, or with the channel.
                self.drop()
                if self._closed.is_set():
                    break
                if _is_cancelled():
                    # Whoever only gave up waiting may ask again: the next stream goes on from here.
                    raise
                await self._recover(RunError(grpc.StatusCode.CANCELLED, from_transport=True))
            except BaseException:
                self.drop()
                raise
        return None

    def _open(self) -> None:
        self._stream = self._open_stream(self._resumption.opening())
        self._responses = aiter(self._stream)

    async def _recover(self, error: RunError) -> None:
        """Wait until the next stream may be tried; raise what cannot be made up for."""
        self.drop()
        if self._closed.is_set():
            return
        try:
            pause = self._resumption.cut(error)
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
        self.drop()


def _is_cancelled() -> bool:
    """Whether it is the present task that somebody cancelled."""
    task = asyncio.current_task()
    return task is None or bool(task.cancelling())
