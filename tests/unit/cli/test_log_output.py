"""The log on stderr: its format, and an output that is slow, stuck or gone."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import threading
from typing import TYPE_CHECKING

import pytest

from runsvc.cli.log_output import LogOutput

if TYPE_CHECKING:
    from collections.abc import Iterator

CAPACITY = 20


class Pipe:
    """A log output into a pipe. More lines than fit into the pipe and the queue block a plain handler for ever."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        # The least that a pipe can hold.
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, 4_096)
        self.output = LogOutput(self.writing, capacity=CAPACITY, last_lines=0.05)

    def log(self, text: str) -> None:
        self.output.handle(logging.LogRecord("runsvc.x", logging.INFO, "", 0, text, (), None))

    def read_until(self, pattern: str) -> str:
        """Return the text up to a match of the pattern."""
        text = ""
        while not re.search(pattern, text):
            text += os.read(self.reading, 1 << 16).decode()
        return text


def written_lines(text: str) -> int:
    return len(re.findall(r"line \d+ x{100}\n", text))


def dropped_lines(text: str) -> int:
    return sum(map(int, re.findall(r"(\d+) log lines were dropped", text)))


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.reading)
    pipe.output.close()
    os.close(pipe.writing)


def test_lines_have_a_time_in_utc(pipe: Pipe) -> None:
    record = logging.LogRecord("runsvc.x", logging.INFO, "", 0, "%d runs", (3,), None)
    record.created, record.msecs = 1_793_000_000.25, 250.0
    pipe.output.handle(record)
    assert pipe.read_until("\n") == "2026-10-26T07:33:20.250Z INFO runsvc.x: 3 runs\n"


def test_a_stuck_output_drops_lines_and_reports_their_number(pipe: Pipe) -> None:
    for number in range(500):
        pipe.log(f"line {number} " + "x" * 100)
    text = ""
    while written_lines(text) + dropped_lines(text) < 500:
        text += pipe.read_until("\n")
    assert written_lines(text) + dropped_lines(text) == 500
    assert written_lines(text) >= CAPACITY
    assert dropped_lines(text)
    pipe.log("later")
    assert "dropped" not in pipe.read_until("later")


def test_a_stuck_output_does_not_keep_the_process_from_ending(pipe: Pipe) -> None:
    for _ in range(500):
        pipe.log("x" * 100)
    pipe.output.close()


def test_an_output_that_would_block_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.writing, False)
    pipe.log("x" * 10_000)
    pipe.log("end")
    assert len(pipe.read_until("end")) > 10_000


def test_the_end_of_the_process_writes_the_waiting_lines(pipe: Pipe) -> None:
    for number in range(CAPACITY):
        pipe.log(f"line {number};")
    pipe.output.close()
    assert f"line {CAPACITY - 1};" in pipe.read_until(f"line {CAPACITY - 1};")


def test_lines_that_a_full_disk_refuses_are_counted(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, is_full, refused = os.write, True, threading.Event()

    def write_or_fail(descriptor: int, data: bytes) -> int:
        if descriptor == pipe.writing and is_full:
            refused.set()
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", write_or_fail)
    pipe.log("lost")
    assert refused.wait(30)
    is_full = False
    pipe.log("written")
    assert re.findall(r": (.*)", pipe.read_until("dropped")) == [
        "written",
        "1 log lines were dropped, because stderr did not take them.",
    ]


def test_a_faulty_line_does_not_fail_its_caller(
    pipe: Pipe, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe.output.handle(logging.LogRecord("runsvc.x", logging.INFO, "", 0, "%d", ("x",), None))
    assert "Logging error" in capsys.readouterr().err
