"""The log on stderr. Its lines are written by a thread: a stderr that nobody reads must not stop the server."""

from __future__ import annotations

import logging
import os
import queue
import select
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Lines that wait to be written. Further ones are dropped.
CAPACITY: Final = 10_000
#: Longest wait for the last lines at the end of the process, in seconds.
LAST_LINES: Final = 2.0
#: Seconds for more lines to arrive before a write, and most lines of a write.
COLLECT: Final = 0.01
BURST: Final = 100

_STDERR: Final = 2


class UtcFormatter(logging.Formatter):
    """Formats a record with its time in ISO 8601 and UTC."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        #: The last second, and its text: most lines share theirs.
        self._second = 0, ""

    def formatTime(self, record: logging.LogRecord, _: str | None = None) -> str:
        second, text = self._second
        if second != int(record.created):
            second = int(record.created)
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second, text
        return f"{text}.{int(record.created * 1_000) % 1_000:03}Z"


class LogOutput(logging.Handler):
    """Writes records to a descriptor, without delay for the caller. Counts and reports lines that it has to drop."""

    def __init__(
        self,
        descriptor: int = _STDERR,
        *,
        capacity: int = CAPACITY,
        last_lines: float = LAST_LINES,
        burst: int = BURST,
        collect: float = COLLECT,
    ) -> None:
        super().__init__()
        self.setFormatter(UtcFormatter())
        self._descriptor = descriptor
        self._last_lines = last_lines
        self._capacity = capacity
        self._burst = burst
        self._collect = collect
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._dropped = 0
        self._count_lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many lines wait to be written."""
        return self._lines.qsize()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="runsvc-log", daemon=True)
                self._thread.start()
        except Exception:  # noqa: BLE001 - a faulty log line must not fail its caller.
            self.handleError(record)
            return
        if self._lines.qsize() < self._capacity:
            self._lines.put(line)
        else:
            self._count_dropped(1)

    def close(self) -> None:
        """Write the waiting lines, if that is possible in a moment."""
        if self._thread is not None:
            self._lines.put(None)
            self._thread.join(self._last_lines)
        super().close()

    def _work(self) -> None:
        lines: list[str | None] = [""]
        while lines[-1] is not None:
            lines = [self._lines.get()]
            # Lines come in bursts: one write for many of them costs the other threads far less.
            time.sleep(self._collect)
            while lines[-1] is not None and len(lines) < self._burst and not self._lines.empty():
                lines.append(self._lines.get())
            self._write_burst([line for line in lines if line is not None])

    def _write_burst(self, lines: Sequence[str]) -> None:
        if not self._write("\n".join(lines)):
            self._count_dropped(len(lines))
        elif self._lines.empty():
            self._report_dropped()

    def _write(self, text: str) -> bool:
        """Write lines, however long that takes. Return False if the reader has gone, or the disk is full.

        It does not use sys.stderr: a thread that holds its lock aborts the end of the process.
        """
        data = f"{text}\n".encode(errors="backslashreplace") if text else b""
        try:
            while data:
                try:
                    data = data[os.write(self._descriptor, data) :]
                except BlockingIOError:
                    select.select([], [self._descriptor], [])
        except OSError:
            return False
        return True

    def _count_dropped(self, count: int) -> None:
        with self._count_lock:
            self._dropped += count

    def _report_dropped(self) -> None:
        with self._count_lock:
            dropped, self._dropped = self._dropped, 0
        if dropped and not self._write(self.format(_dropped_record(dropped))):
            self._count_dropped(dropped)


def _dropped_record(count: int) -> logging.LogRecord:
    message = "%d log lines were dropped, because stderr did not take them."
    return logging.LogRecord(__name__, logging.WARNING, "", 0, message, (count,), None)
