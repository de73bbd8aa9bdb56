"""Every command that a page shows is run, against a real server."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.docs.page import Block, blocks_of, table_commands
from tests.support.ports import free_port
from tests.support.server import Process, client_of
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
TEXTS: Final = {page: page.read_text("utf-8") for page in PAGES}
#: Seconds after which a block that needs Ctrl-C gets it, once it has printed something.
PAUSE: Final = 0.5
PLACEHOLDER: Final = "the-id-that-create-printed"
#: The port of a server that a page starts. A free one replaces it.
PORT: Final = "50443"


class Reader:
    """A reader who types a page's commands into a shell, in the folder of the repository."""

    def __init__(self, folder: Path, server: Process) -> None:
        self._folder = folder
        self._server = server
        self._background: list[asyncio.subprocess.Process] = []
        self._run_id = ""
        self._port = str(free_port())
        for name in ("Makefile", "clients", "protos", "pyproject.toml", "runsvc"):
            (folder / name).symlink_to(ROOT / name)
        (folder / ".venv").symlink_to(sys.prefix)

    async def follow(self, block: Block) -> None:
        """Run a block according to its note, and check how it ends."""
        shell = await self._start(block.script)
        if block.note == "background":
            self._background.append(shell)
            await self._printed(shell)
            return
        if block.note == "interrupt":
            # It may have nothing to print.
            with suppress(TimeoutError):
                await self._printed(shell, seconds=5)
            await asyncio.sleep(PAUSE)
            _signal(shell, signal.SIGINT)
            assert await shell.wait() in (130, -signal.SIGINT)
            return
        output = await self._finished(shell)
        assert shell.returncode == block.exit_status, f"{block.script}\n{output}"

    async def close(self) -> None:
        """End the commands in the background."""
        for shell in self._background:
            _signal(shell, signal.SIGTERM)
            await shell.wait()

    async def _start(self, script: str) -> asyncio.subprocess.Process:
        script = script.replace(PORT, self._port)
        if PLACEHOLDER in script:
            # As a reader does it: the id is known once the block's own creation has printed it.
            before, _, after = script.partition(f"RUN={PLACEHOLDER}\n")
            created = await self._start(before)
            output = await self._finished(created)
            assert created.returncode == 0, output
            self._run_id = re.findall(r"Run (\S+) was created", output)[-1]
            script = after
        return await asyncio.create_subprocess_exec(
            *("bash", "-c", f"set -e; RUN={self._run_id}\n{script}"),
            cwd=self._folder,
            env=self._environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # A group of its own: Ctrl-C reaches the shell and its commands.
            start_new_session=True,
        )

    def _environment(self) -> dict[str, str]:
        # `make run` listens on a port of its own; every other command uses the server of the test.
        ours = {
            "RUNSVC_TARGET": self._server.address,
            "RUNSVC_SERVE_LISTEN": "127.0.0.1:0",
            "PYTHONUNBUFFERED": "1",
            "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
        }
        # A make that runs these tests hands its own state down. Coverage nearly doubles the time of a command, and the
        # tests of the commands measure it.
        dropped = ("MAKE", "COVERAGE")
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not any(name in key for name in dropped)
        }
        return inherited | ours

    async def _printed(self, shell: asyncio.subprocess.Process, seconds: float = PATIENCE) -> None:
        assert shell.stdout is not None
        async with asyncio.timeout(seconds):
            assert await shell.stdout.readline(), "it printed nothing"

    async def _finished(self, shell: asyncio.subprocess.Process) -> str:
        async with asyncio.timeout(PATIENCE):
            output, _ = await shell.communicate()
        return output.decode()


def _signal(shell: asyncio.subprocess.Process, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(shell.pid, number)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Process]:
    # In the reader's folder, so that commands on the file find it under its default name.
    (tmp_path / "home").mkdir()
    async with Process(tmp_path / "home" / "runsvc.db") as process:
        yield process


@pytest.fixture
async def reader(tmp_path: Path, server: Process) -> AsyncIterator[Reader]:
    reader = Reader(tmp_path / "home", server)
    yield reader
    await reader.close()


# A page starts dozens of commands.
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
async def test_the_commands_of_a_page_end_as_stated(page: Path, reader: Reader) -> None:
    for block in blocks_of(TEXTS[page]):
        if block.needed and shutil.which(block.needed) is None:
            assert os.environ.get("RUNSVC_REQUIRE_ALL") != "1", f"there is no {block.needed}"
            continue
        if not block.note.startswith("not run: "):
            await reader.follow(block)


async def test_the_commands_in_tables_run(reader: Reader, server: Process) -> None:
    async with client_of(server.address):
        await reader.follow(Block(".venv/bin/runsvc create T\n"))
    await reader.follow(Block(f".venv/bin/runsvc create other\nRUN={PLACEHOLDER}\necho $RUN\n"))
    _, _, incidents = TEXTS[ROOT / "docs" / "operations.md"].partition("## Incident questions")
    commands = list(table_commands(incidents))
    assert len(commands) >= 6
    for command in commands:
        typed = re.sub(r"\bX\b", "$RUN", command)
        endless = " watch " in typed
        await reader.follow(Block(f"{typed}\n", "interrupt" if endless else ""))


def test_no_command_stands_outside_a_block_that_is_run() -> None:
    for page in PAGES:
        fences = re.findall(r"```(\w*)\n", TEXTS[page])
        assert not {"bash", "console", "shell"} & set(fences), page
