"""A watch for threads that reconnects."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import grpc

from runsvc.client.error import error_of
from runsvc.client.sync.stream_reader import StreamReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from runsvc.client.error import RunError
    from runsvc.client.resume import Resumption
    from runsvc.v1.run_service_pb2 import StreamStatusRequest, StreamStatusResponse


class Watch:
    """An iterator over the events of a watch, each once and in order, across lost connections and server restarts.

    A wait for the next event may be interrupted, such as by Ctrl-C: the stream stays open, and the next wait continues
    it. Leaving the `for` loop ends the server's stream. A watch that is kept in a variable must be closed, with `with`
    or `close`.
    """

    def __init__(
        self,
        open_stream: Callable[[StreamStatusRequest], Any],
        has_new_token: Callable[[RunError], bool],
        resumption: Resumption,
        on_reconnect: Callable[[RunError], object] | None,
    ) -> None:
        """Create a watch. `RunClient.watch` is the public way."""
        self._open_stream = open_stream
        self._has_new_token = has_new_token
        self._resumption = resumption
        self._on_reconnect = on_reconnect
        self._stream: StreamReader | None = None
        self._closed = threading.Event()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamStatusResponse:
        event = self._next_event()
        if event is None:
            raise StopIteration
        self._resumption.record(event)
        return event

    def close(self) -> None:
        """End the watch. Any thread may call it: a loop that is waiting for the next event ends."""
        self._closed.set()
        self.drop_stream()

    def drop_stream(self) -> None:
        """Cancel the current stream. The next event opens a new one, unless the watch is closed."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # A loop that is left by break or by an exception drops its iterator, which ends the stream here.
        self.drop_stream()

    def _next_event(self) -> StreamStatusResponse | None:
        """Return the next event of the current or a new stream. None at the end."""
        while not self._closed.is_set():
            try:
                event = self._current_stream().next()
            except grpc.RpcError as failure:
                self._recover(error_of(failure))
            else:
                if event is not None:
                    return event
                self.close()
        return None

    def _current_stream(self) -> StreamReader:
        stream = self._stream
        if stream is None:
            opened = self._open_stream(self._resumption.next_request())
            stream = self._stream = StreamReader(opened)
            if self._closed.is_set():
                # Another thread closed the watch before it could see the stream.
                stream.cancel()
        return stream

    def _recover(self, error: RunError) -> None:
        """Wait until the next stream may be opened. Raise an error that is not transient."""
        self.drop_stream()
        if self._closed.is_set():
            return
        try:
            renewed = self._has_new_token(error)
            pause = self._resumption.pause_after(error, has_new_token=renewed)
            if pause is not None and self._on_reconnect:
                self._on_reconnect(error)
        except BaseException:
            self.close()
            raise
        if pause is None:
            self.close()
            return
        self._closed.wait(pause)
