"""The log on stderr. Its lines are written by a thread: a stderr that nobody reads must not stop the server."""

from __future__ import annotations

import logging
import os
import queue
import select
import threading
import time
from typing import Final

#: Lines that wait to be written. Further ones are dropped.
CAPACITY: Final = 10_000
#: Longest wait for the last lines at the end of the process, in seconds.
LAST_LINES: Final = 2.0

_STDERR: Final = 2


class UtcFormatter(logging.Formatter):
    """Formats a record with its time in ISO 8601 and UTC."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")


class LogOutput(logging.Handler):
    """Writes records to a descriptor, without delay for the caller. Counts and reports lines that it has to drop."""

    def __init__(
        self,
        descriptor: int = _STDERR,
        *,
        capacity: int = CAPACITY,
        last_lines: float = LAST_LINES,
    ) -> None:
        super().__init__()
        self.setFormatter(UtcFormatter())
        self._descriptor = descriptor
        self._last_lines = last_lines
        self._lines: queue.Queue[str | None] = queue.Queue(capacity)
        self._dropped = 0
        self._count_lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="runsvc-log", daemon=True)
                self._thread.start()
        except Exception:  # noqa: BLE001 - a faulty log line must not fail its caller.
            self.handleError(record)
            return
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._count_dropped(1)

    def close(self) -> None:
        """Write the waiting lines, if that is possible in a moment."""
        if self._thread is not None:
            try:
                self._lines.put_nowait(None)
                self._thread.join(self._last_lines)
            except queue.Full:
                # Nobody reads.
                pass
        super().close()

    def _work(self) -> None:
        while (line := self._lines.get()) is not None:
            if not self._write(line):
                self._count_dropped(1)
            elif self._lines.empty():
                self._report_dropped()
        self._report_dropped()

    def _write(self, line: str) -> bool:
        """Write a line, however long that takes. Return False if the reader has gone, or the disk is full.

        It does not use sys.stderr: a thread that holds its lock aborts the end of the process.
        """
        data = f"{line}\n".encode(errors="backslashreplace")
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
