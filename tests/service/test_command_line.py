"""The command line against a real server: what the first pages tell a newcomer to type works as it stands."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from tests.support.server import Process

ROOT = Path(__file__).parents[2]


class Shell:
    """Runs runsvc's commands against one server."""

    def __init__(self, target: str) -> None:
        self._environment = os.environ | {"RUNSVC_TARGET": target}

    async def run(self, *arguments: str, status: int = 0) -> str:
        """What a command prints; it must end with this status."""
        process = await self.start(*arguments)
        output, errors = await process.communicate()
        assert process.returncode == status, errors.decode()
        return output.decode() or errors.decode()

    async def json(self, *arguments: str) -> Any:
        """The answer of a command as a program reads it."""
        return json.loads(await self.run(*arguments, "--json"))

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """A command under way."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "runsvc.cli", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
        )


async def test_a_first_run_is_created_watched_and_cancelled(tmp_path: Path) -> None:
    async with Process(tmp_path / "runs.db") as process:
        shell = Shell(process.address)
        created = await shell.json("create", "chat-1", "--kwargs", '{"input": "hello"}')
        run_id = created["run"]["run_id"]
        watch = await shell.start("watch", "--thread", "chat-1", "--json")
        assert watch.stdout is not None
        assert json.loads(await watch.stdout.readline())["run"]["run_id"] == run_id
        busy = await shell.run("create", "chat-1", status=4)
        assert run_id in busy
        assert "--strategy interrupt" in busy
        taken = await shell.json("create", "chat-1", "--strategy", "interrupt")
        assert [run["run_id"] for run in taken["superseded"]] == [run_id]
        await shell.run("cancel", "--thread", "chat-1")
        listed = await shell.json("list", "chat-1")
        assert {run["status"] for run in listed["runs"]} == {"RUN_STATUS_INTERRUPTED"}
        # SNAPSHOT_END and the interrupted one, the new one, the cancelled one.
        events = [json.loads(await watch.stdout.readline())["event"] for _ in range(4)]
        assert events == ["STATUS_EVENT_SNAPSHOT_END", *["STATUS_EVENT_CHANGED"] * 3]
        watch.terminate()
        await watch.communicate()
        await shell.run("watch", run_id, status=6)
        await shell.run("get", "nobody", status=3)
    await shell.run("get", run_id, status=5)


async def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    async with Process(tmp_path / "a.db") as process:
        shell = Shell(process.address)
        arguments = ("serve", "--listen", process.address, "--db", str(tmp_path / "b.db"))
        refusal = await shell.run(*arguments, status=1)
    (line,) = refusal.splitlines()
    assert line.startswith(f"Error: Cannot listen on {process.address}: it is in use")


async def test_the_readme_s_python_runs_as_it_stands(tmp_path: Path) -> None:
    page = (ROOT / "README.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    async with Process(tmp_path / "runs.db") as process:
        process_of_example = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", example.replace("127.0.0.1:50051", process.address)),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process_of_example.communicate()
    assert process_of_example.returncode == 0
    assert output.decode().splitlines() == [
        "STATUS_EVENT_SNAPSHOT RUN_STATUS_PENDING",
        "STATUS_EVENT_SNAPSHOT_END RUN_STATUS_UNSPECIFIED",
        "STATUS_EVENT_CHANGED RUN_STATUS_INTERRUPTED",
    ]
