"""A watch for threads that outlives its streams."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import grpc

from runsvc.client.error import error_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from runsvc.client.error import RunError
    from runsvc.client.resume import Resumption
    from runsvc.v1.run_service_pb2 import StreamStatusRequest, StreamStatusResponse


class Watch:
    """The events of a watch, each once and in order, across lost connections and restarts of the server.

    Leaving the loop ends the server's stream. Whoever keeps the watch itself in a variable closes it: with `with`, or
    `close()`, which any thread may call.
    """

    def __init__(
        self,
        open_stream: Callable[[StreamStatusRequest], Any],
        resumption: Resumption,
        on_reconnect: Callable[[RunError], object] | None,
    ) -> None:
        self._open_stream = open_stream
        self._resumption = resumption
        self._on_reconnect = on_reconnect
        self._stream: Any = None
        self._closed = threading.Event()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamStatusResponse:
        event = self._received()
        if event is None:
            raise StopIteration
        self._resumption.heard(event)
        return event

    def close(self) -> None:
        """End the watch, also while another thread waits for its next event: there it ends the loop."""
        self._closed.set()
        self.drop()

    def drop(self) -> None:
        """End the present stream. If there is a next event to come, another one is opened for it."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # A loop that was left by break or by an exception lets go of its iterator at once.
        self.drop()

    def _received(self) -> StreamStatusResponse | None:
        """The next event of whichever stream; None at the end."""
        while not self._closed.is_set():
            try:
                event: StreamStatusResponse = next(self._opened())
                return event
            except StopIteration:
                self.close()
            except grpc.RpcError as failure:
                self._recover(error_of(failure))
            except BaseException:
                # Whoever only stopped waiting may ask again: the next stream goes on from here.
                self.drop()
                raise
        return None

    def _opened(self) -> Any:
        stream = self._stream
        if stream is None:
            stream = self._stream = self._open_stream(self._resumption.opening())
            if self._closed.is_set():
                # Another thread closed the watch before it could see the stream.
                stream.cancel()
        return stream

    def _recover(self, error: RunError) -> None:
        """Wait until the next stream may be tried; raise what cannot be made up for."""
        self.drop()
        if self._closed.is_set():
            return
        try:
            pause = self._resumption.cut(error)
            if pause is not None and self._on_reconnect:
                self._on_reconnect(error)
        except BaseException:
            self.close()
            raise
        if pause is None:
            self.close()
            return
        self._closed.wait(pause)
