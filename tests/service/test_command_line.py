"""The command line against a real server, and the examples of the README."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import shlex
import signal
import sys
from pathlib import Path
from typing import IO, Any

import grpc
import pytest

from runsvc.client import RunClient
from runsvc.v1.run_pb2 import RunSpec
from runsvc.v1.run_service_pb2 import HasInflightRequest
from runsvc.v1.run_service_pb2_grpc import RunServiceStub
from tests.support.commands import Commands
from tests.support.ports import free_port
from tests.support.server import Process
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
#: A device without free space.
FULL = Path("/dev/full")


class Shell:
    """Runs commands of runsvc against one server."""

    def __init__(self, target: str) -> None:
        self.environment = os.environ | ({"RUNSVC_TARGET": target} if target else {})
        # Buffered, as in a user's shell: a failed write then shows at the end.
        self.environment.pop("PYTHONUNBUFFERED", None)

    async def run(self, *arguments: str, status: int = 0) -> str:
        """Return the output of a command, which must exit with `status`."""
        process = await self.start(*arguments)
        output, errors = await process.communicate()
        assert process.returncode == status, errors.decode()
        return output.decode() or errors.decode()

    async def json(self, *arguments: str) -> Any:
        """Return the answer of a command as JSON."""
        return json.loads(await self.run(*arguments, "--json"))

    async def run_line(self, line: str) -> int:
        """Run a printed command line in a shell. Return its exit status."""
        process = await asyncio.create_subprocess_shell(line, stdout=asyncio.subprocess.DEVNULL)
        return await process.wait()

    async def start(
        self, *arguments: str, stdout: int | IO[str] = asyncio.subprocess.PIPE
    ) -> asyncio.subprocess.Process:
        """Start a command."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "runsvc.cli", *arguments),
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment,
        )


async def test_run_is_created_watched_and_cancelled(tmp_path: Path) -> None:
    async with Process(tmp_path / "runs.db") as process:
        shell, commands = Shell(process.address), Commands(process.address)
        created = await commands.json("create", "chat-1", "--kwargs", '{"input": "hello"}')
        run_id = created["run"]["run_id"]
        watch = await shell.start("watch", "--thread", "chat-1", "--json")
        assert watch.stdout is not None
        assert json.loads(await watch.stdout.readline())["run"]["run_id"] == run_id
        busy = await commands.run("create", "chat-1", status=4)
        assert run_id in busy
        assert "--strategy interrupt" in busy
        newer = await commands.json("create", "chat-1", "--strategy", "interrupt")
        assert [run["run_id"] for run in newer["superseded"]] == [run_id]
        await commands.run("cancel", "--thread", "chat-1")
        listed = await commands.json("list", "chat-1")
        assert {run["status"] for run in listed["runs"]} == {"RUN_STATUS_INTERRUPTED"}
        # The end of the snapshot; the displaced run, the new run, its cancel.
        events = [json.loads(await watch.stdout.readline())["event"] for _ in range(4)]
        assert events == ["STATUS_EVENT_SNAPSHOT_END", *["STATUS_EVENT_CHANGED"] * 3]
        watch.terminate()
        await watch.communicate()
        await shell.run("watch", run_id, status=6)
        await commands.run("get", "nobody", status=3)
    await commands.run("get", run_id, status=5)


async def test_ids_may_begin_with_a_dash_or_an_underscore(tmp_path: Path) -> None:
    async with Process(tmp_path / "runs.db") as process:
        shell = Commands(process.address)
        arguments = ("--assistant", "-demo", "--request-id", "-r", "--json", "--", "-8f3")
        run = json.loads(await shell.run("create", *arguments))["run"]
        assert (run["thread_id"], run["assistant_id"]) == ("-8f3", "-demo")
        await shell.run("set-status", run["run_id"], "running", "--worker", "_w")
        busy = await shell.run("create", "--", "-8f3", status=4)
        (displace,) = re.findall(r"displace it: .* (create .*)", busy)
        newer = await shell.run(*shlex.split(displace))
        assert run["run_id"] in newer
        await shell.run("cancel", "--thread", "-8f3")
        listed = await shell.run("list", "--json", "--", "-8f3")
        assert len(json.loads(listed)["runs"]) == 2


async def test_run_ends_after_an_attached_watch(tmp_path: Path) -> None:
    async with Process(tmp_path / "runs.db", "--attach-grace", "0") as process:
        shell, commands = Shell(process.address), Commands(process.address)
        run_id = (await commands.json("create", "chat-1"))["run"]["run_id"]
        watch = await shell.start("watch", run_id, "--attach", "--json")
        assert watch.stdout is not None
        assert json.loads(await watch.stdout.readline())["run"]["run_id"] == run_id
        watch.send_signal(signal.SIGINT)
        await watch.communicate()
        await shell.run("watch", run_id, status=6)
        ended = await commands.json("get", run_id)
        assert ended["run"]["status_reason"] == "STATUS_REASON_CLIENT_DISCONNECTED"


async def test_watch_survives_restarts(tmp_path: Path) -> None:
    async with Process(tmp_path / "runs.db") as process:
        shell, commands = Shell(process.address), Commands(process.address)
        run_id = (await commands.json("create", "chat-1"))["run"]["run_id"]
        watches = [
            await shell.start("watch", *target, "--json")
            for target in ((run_id,), ("--thread", "chat-1"), ("--all",))
        ]
        for watch in watches:
            assert run_id in await next_line(watch, "SNAPSHOT")
            await next_line(watch, "SNAPSHOT_END")
        await process.kill()
        await process.start_again()
        await commands.run("set-status", run_id, "running")
        for watch in watches:
            assert "RUN_STATUS_RUNNING" in await next_line(watch, "CHANGED")
        await process.stop()
        await process.start_again()
        await commands.run("complete", run_id, "success")
        for watch in watches:
            assert "RUN_STATUS_SUCCESS" in await next_line(watch, "CHANGED")
        assert await watches[0].wait() == 0
        for watch in watches[1:]:
            watch.terminate()
            await watch.communicate()


async def next_line(watch: asyncio.subprocess.Process, event: str) -> str:
    """Return the line of the next event, which must be `event`."""
    assert watch.stdout is not None
    line = (await watch.stdout.readline()).decode()
    assert json.loads(line)["event"] == f"STATUS_EVENT_{event}"
    return line


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full to write to")
async def test_unwritable_answer_is_one_line(tmp_path: Path) -> None:
    async with Process(tmp_path / "runs.db") as process:
        shell = Shell(process.address)
        await shell.run("create", "chat-1", "--metadata", '{"name": "☃"}')
        with FULL.open("w") as full:  # noqa: ASYNC230 - a device, which does not block.
            listing = await shell.start("list", "chat-1", stdout=full)
        _, errors = await listing.communicate()
        assert errors == b"Error: Cannot write the answer: No space left on device\n"
        assert listing.returncode == 1
        shell.environment["PYTHONIOENCODING"] = "ascii"
        run_id = json.loads(await shell.run("list", "chat-1", "--json"))["runs"][0]["run_id"]
        assert '{"name": "?"}' in await shell.run("get", run_id)


async def test_port_in_use_is_one_line(tmp_path: Path) -> None:
    async with Process(tmp_path / "a.db") as process:
        shell = Shell(process.address)
        arguments = ("serve", "--listen", process.address, "--db", str(tmp_path / "b.db"))
        refusal = await shell.run(*arguments, status=1)
    (line,) = refusal.splitlines()
    assert line.startswith(f"Error: Cannot listen on {process.address}: it is in use")
    # Nothing is created for a server that cannot serve.
    assert not list(tmp_path.glob("b.db*"))  # noqa: ASYNC240


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
async def test_server_with_closed_standard_streams_stops_cleanly(
    tmp_path: Path, closed: str
) -> None:
    address = f"127.0.0.1:{free_port()}"
    arguments = f"serve --listen {address} --db {tmp_path / 'a.db'} {closed}"
    server = await asyncio.create_subprocess_shell(
        f"exec {shlex.quote(sys.executable)} -m runsvc.cli {arguments}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with grpc.aio.insecure_channel(address) as channel:
        stub = RunServiceStub(channel)
        request = HasInflightRequest(thread_id="t")
        assert not (await stub.HasInflight(request, wait_for_ready=True)).has_inflight
    server.terminate()
    assert await server.wait() == 0


async def test_command_with_closed_standard_streams_fails_without_an_abort() -> None:
    shell = Shell("127.0.0.1:1")
    program = shlex.quote(sys.executable)
    assert await shell.run_line(f"{program} -m runsvc.cli get r --target 127.0.0.1:1 <&- 2>&-") == 5


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a pipe cannot be set")
async def test_stderr_that_nobody_reads_does_not_stop_the_server(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4_096)
    process = Process(tmp_path / "runs.db", "--log-level", "debug", stderr=writing)
    async with process, asyncio.timeout(PATIENCE):
        with RunClient(process.address) as client:
            for number in range(100):
                client.has_inflight(f"chat-{number}")
        assert await process.stop() == 0
    os.close(writing)
    assert re.search(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z DEBUG ", os.read(reading, 4_096))
    os.close(reading)


async def test_suggested_commands_work_in_order(tmp_path: Path) -> None:
    shell = Shell("")
    # Suggestions are for people: they are printed on a terminal only.
    terminal, end = pty.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runsvc.cli", "serve", "--listen", "127.0.0.1:0"),
            *("--db", str(tmp_path / "a.db")),
            stdout=end,
            stderr=end,
            env=shell.environment,
        )
        os.close(end)
        lines = [await asyncio.to_thread(_read_line, screen) for _ in range(7)]
        address, heading, *commands, third, watch = lines
        assert " serves on 127.0.0.1:" in address
        assert "another terminal" in heading
        for command in commands:
            assert await shell.run_line(command) == 0
        assert "third terminal" in third
        assert " watch --thread chat-1" in watch
        server.terminate()
        assert await server.wait() == 0


def _read_line(screen: IO[bytes]) -> str:
    """Return the next line of a terminal."""
    line = bytearray()
    while not line.endswith(b"\n"):
        line += screen.read(1)
    return line.decode().strip()


def examples() -> list[str]:
    """Return the README's Python examples."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)


async def python(example: str, process: Process) -> tuple[int | None, list[str], str]:
    """Return the exit status, the output lines and the errors of an example."""
    process_of_example = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", example),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"RUNSVC_TARGET": process.address},
    )
    output, errors = await process_of_example.communicate()
    return process_of_example.returncode, output.decode().splitlines(), errors.decode()


async def test_readme_examples_run(tmp_path: Path) -> None:
    (example,) = examples()
    async with Process(tmp_path / "runs.db") as process:
        assert await python(example, process) == (0, ["RUN_STATUS_SUCCESS HELLO"], "")
        with RunClient(process.address) as client:
            active = client.create(RunSpec(thread_id="chat-4")).run
        assert await python(example, process) == (1, [], f"busy with {active.run_id}\n")
