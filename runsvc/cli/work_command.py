"""A command that executes a run: its process, its input and output, and its outcome."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import json_format

from runsvc.client import RetryableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.cli.work_output import WorkOutput
    from runsvc.client import AsyncExecution
    from runsvc.v1.run_pb2 import Run

#: EX_TEMPFAIL of sysexits.h: a failure that may pass.
_TEMPORARY: Final = 75
#: Bytes of the standard error that an error text holds.
_TAIL: Final = 4 << 10
#: Longest line that can be a result, in bytes. The server takes 1 MiB.
_LONGEST: Final = 2 << 20
_CHUNK: Final = 64 << 10
#: Time for a command to end after the second signal, in seconds.
_HURRY: Final = 1.0


class CommandError(Exception):
    """The command failed."""


class TemporaryError(CommandError, RetryableError):
    """The command exited with 75."""


class Output:
    """A stream of the command: each line is shown, the last one and the end of all are kept."""

    def __init__(self, run_id: str, shown: WorkOutput) -> None:
        self._shown = shown
        self._prefix = f"{run_id} | "
        #: The line that is not complete yet.
        self._rest = bytearray()
        self._tail = bytearray()
        #: The last line that is not blank.
        self.last_line = ""

    @property
    def tail(self) -> str:
        """The end of the output."""
        return self._tail.decode(errors="replace").strip()

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Read the stream to its end."""
        while chunk := await stream.read(_CHUNK):
            self._tail = (self._tail + chunk)[-_TAIL:]
            self._rest += chunk
            *lines, self._rest = self._rest.split(b"\n")
            for line in lines:
                await self._show(line)
            if len(self._rest) > _LONGEST:
                # Too long for a result. It must not fill the memory.
                await self._show(self._rest)
                self._rest.clear()
        if self._rest:
            await self._show(self._rest)

    async def _show(self, line: bytearray) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self.last_line = text
        await self._shown.line_in_turn(self._prefix + text)


class WorkCommand:
    """Executes runs with a command, one process for each."""

    def __init__(
        self,
        command: Sequence[str],
        kill_after: float,
        target: str,
        shown: WorkOutput,
        *,
        result_file: bool,
    ) -> None:
        self._shown = shown
        self._command = command
        self._kill_after = kill_after
        self._target = target
        self._has_result_file = result_file
        #: Set by a signal that asks for the end at once.
        self.hurry = asyncio.Event()

    async def __call__(self, execution: AsyncExecution) -> dict[str, Any] | None:
        """Run the command, and return its result."""
        if not self._has_result_file:
            return await self._perform(execution, None)
        with tempfile.TemporaryDirectory(prefix="runsvc-") as folder:
            return await self._perform(execution, Path(folder, "result.json"))

    async def _perform(self, execution: AsyncExecution, file: Path | None) -> dict[str, Any] | None:
        run = execution.run
        output, errors = (Output(run.run_id, self._shown) for _ in range(2))
        environment = self._environment(execution, file)
        started: asyncio.Future[Process] = asyncio.get_running_loop().create_future()

        async def run_process() -> int:
            # A cancellation here would kill the process, and leave those that it has started.
            process = await _started(self._command, environment)
            started.set_result(process)
            return await _end_of(process, _input_of(run), output, errors)

        ending = asyncio.create_task(run_process())
        try:
            code = await asyncio.shield(ending)
        except asyncio.CancelledError:
            await self._stop(started, ending)
            raise
        if code:
            raise _failure(code, errors.tail)
        return _result_of(output.last_line if file is None else _content_of(file))

    def _environment(self, execution: AsyncExecution, file: Path | None) -> dict[str, str]:
        run = execution.run
        facts = {
            "RUNSVC_TARGET": self._target,
            "RUNSVC_RUN_ID": run.run_id,
            "RUNSVC_THREAD_ID": run.thread_id,
            "RUNSVC_ASSISTANT_ID": run.assistant_id,
            "RUNSVC_WORKER_ID": execution.worker_id or "",
            "RUNSVC_ATTEMPT": str(run.attempt),
            "RUNSVC_FENCING_TOKEN": str(run.fencing_token),
        }
        if file is not None:
            facts["RUNSVC_RESULT_FILE"] = str(file)
        return os.environ | facts

    async def _stop(self, started: asyncio.Future[Process], ending: asyncio.Task[int]) -> None:
        """End the process: SIGTERM first, and SIGKILL if that takes too long."""
        either: tuple[asyncio.Future[Any], ...] = (started, ending)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            # It could not be started. The exception is retrieved, so that asyncio does not log it.
            ending.exception()
            return
        process = started.result()
        _signal_group(process, signal.SIGTERM)
        hurry = asyncio.create_task(self.hurry.wait())
        await asyncio.wait(
            {ending, hurry}, timeout=self._kill_after, return_when=asyncio.FIRST_COMPLETED
        )
        if hurry.done():
            await asyncio.wait({ending}, timeout=min(self._kill_after, _HURRY))
        hurry.cancel()
        if not ending.done():
            _signal_group(process, _KILL)
            await asyncio.wait({ending})


async def _started(command: Sequence[str], environment: dict[str, str]) -> Process:
    # A group of its own: Ctrl-C of the terminal must not reach it, and signals reach what it starts.
    return await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment, **_OWN_GROUP
    )


async def _end_of(process: Process, text: bytes, output: Output, errors: Output) -> int:
    """Feed the process and read its output. Return its exit code."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    streams = asyncio.gather(
        _feed(process.stdin, text), output.read(process.stdout), errors.read(process.stderr)
    )
    waiting = asyncio.create_task(process.wait())
    # In some releases of Python `wait` also waits for the pipes, which processes that were left behind may hold.
    while process.returncode is None:
        await asyncio.wait({waiting}, timeout=0.2)
    _signal_group(process, _KILL)
    await streams
    await waiting
    return process.returncode


async def _feed(stdin: asyncio.StreamWriter, text: bytes) -> None:
    # The command need not read its input.
    with suppress(BrokenPipeError, ConnectionResetError):
        stdin.write(text)
        await stdin.drain()
    stdin.close()


def _input_of(run: Run) -> bytes:
    kwargs = json_format.MessageToDict(run.kwargs)
    return (json.dumps(kwargs, ensure_ascii=False) + "\n").encode()


def _content_of(file: Path) -> str:
    """Return the content of the result file. Empty if the command did not write it."""
    return file.read_text("utf-8", errors="replace").strip() if file.exists() else ""


def _result_of(text: str) -> dict[str, Any] | None:
    """Return a JSON object, or an object that holds any other text. None without text."""
    if not text:
        return None
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    return parsed if isinstance(parsed, dict) else {"output": text}


def _failure(code: int, tail: str) -> CommandError:
    how = f"exited with code {code}"
    if code < 0:
        with suppress(ValueError):
            how = f"was ended by {signal.Signals(-code).name}"
    kind = TemporaryError if code == _TEMPORARY else CommandError
    return kind(f"The command {how}" + (f": {tail}" if tail else "."))


if sys.platform == "win32":
    _KILL: Final = signal.SIGTERM
    _OWN_GROUP: Final[dict[str, Any]] = {}

    def _signal_group(process: Process, _number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            process.terminate()

else:
    _KILL: Final = signal.SIGKILL
    _OWN_GROUP: Final[dict[str, Any]] = {"process_group": 0}

    def _signal_group(process: Process, number: signal.Signals) -> None:
        """Send a signal to the process and those that it started. Without any it does nothing."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
