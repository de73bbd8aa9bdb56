"""A stream that is read on a thread of its own, so that a wait for its next message can be given up."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from runsvc.v1.run_service_pb2 import StreamStatusResponse


class _Read(NamedTuple):
    #: None at the end of the stream.
    message: StreamStatusResponse | None
    failure: Exception | None = None


class StreamReader:
    """Reads a message for each wait.

    grpc cannot continue a stream once a wait for its next message was interrupted, such as by Ctrl-C. Here the read
    goes on, and the next wait receives its message. One thread waits at a time.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._wanted = threading.Semaphore(0)
        self._reads: queue.SimpleQueue[_Read] = queue.SimpleQueue()
        #: The last read: the end of the stream, or its failure.
        self._last: _Read | None = None
        threading.Thread(target=self._work, name="runsvc-watch", daemon=True).start()

    def next(self) -> StreamStatusResponse | None:
        """Wait for the next message. None at the end; raises the failure of the stream."""
        # A wait that is interrupted leaves a read that the next wait takes. So no step between needs protection.
        self._wanted.release()
        last = self._last
        read = last if last is not None and self._reads.empty() else self._reads.get()
        if read.failure is not None:
            raise read.failure
        return read.message

    def cancel(self) -> None:
        """End the stream. A wait in another thread ends too."""
        self._stream.cancel()
        self._wanted.release()

    def _work(self) -> None:
        while self._last is None:
            self._wanted.acquire()
            read = self._read()
            if read.message is None:
                self._last = read
            self._reads.put(read)

    def _read(self) -> _Read:
        try:
            return _Read(next(self._stream, None))
        except Exception as failure:  # noqa: BLE001 - the thread that waits raises it.
            return _Read(None, failure)
