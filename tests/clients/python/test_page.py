"""Every code block of the Python client's page against a real server."""

from __future__ import annotations

import re
import shlex
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from runsvc.client import DEFAULT_TARGET
from tests.clients.python.programs import HERE, running

if TYPE_CHECKING:
    from tests.support.server import Process


class Block(NamedTuple):
    """A code block of the page."""

    heading: str
    language: str
    code: str


def blocks_of_page() -> list[Block]:
    found, heading = [], ""
    page = (HERE / "README.md").read_text("utf-8")
    for title, language, code in re.findall(
        r"^#+ ([^\n]+)$|^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL
    ):
        heading = title or heading
        if code:
            found.append(Block(heading, language, code))
    return found


BLOCKS = blocks_of_page()
PYTHON = [block for block in BLOCKS if block.language == "python"]
SHELL = [block for block in BLOCKS if block.language == "sh"]

#: Output of each Python block, as regular expressions, in the order of the page.
OUTPUTS = (
    ("Connect", r"version \S+ active runs 1"),
    ("Create a run", r"busy with [0-9a-f-]{36}"),
    ("Create a run", r"[0-9a-f-]{36} RUN_STATUS_PENDING"),
    (
        "Watch",
        "STATUS_EVENT_SNAPSHOT RUN_STATUS_PENDING\n"
        "STATUS_EVENT_SNAPSHOT_END RUN_STATUS_UNSPECIFIED\n"
        "STATUS_EVENT_CHANGED RUN_STATUS_INTERRUPTED",
    ),
    ("Watch", "resumed with RUN_STATUS_PENDING"),
    ("Work", r"1\n(\d\n)+stopped HELLO"),
    ("Work", ""),
    ("Execute a run", "RUN_STATUS_SUCCESS 1"),
    ("Handle errors", "no such run"),
    ("asyncio", "RUN_STATUS_SUCCESS 3"),
)


def test_every_block_is_run() -> None:
    assert [block.heading for block in PYTHON] == [heading for heading, _ in OUTPUTS]
    assert len(SHELL) == 2
    assert len(PYTHON) + len(SHELL) == len(BLOCKS)


async def run_python(target: str, code: str) -> str:
    """Run a block and return its output. It must succeed."""
    code = code.replace(DEFAULT_TARGET, target)
    async with running(target, sys.executable, "-W", "error", "-c", code) as program:
        output = "\n".join(await program.read_lines())
        assert await program.exit_status() == 0, output
    return output


@pytest.mark.parametrize("number", range(len(OUTPUTS)), ids=lambda n: f"{n} {OUTPUTS[n][0]}")
async def test_python_block_runs(process: Process, number: int) -> None:
    create = PYTHON[1].code
    created = await run_python(process.address, create)
    assert re.fullmatch(r"created [0-9a-f-]{36}", created)
    output = await run_python(process.address, PYTHON[number].code)
    assert re.fullmatch(OUTPUTS[number][1], output), output


async def test_shell_blocks_run(process: Process) -> None:
    executor, callers = ([shlex.split(line) for line in block.code.splitlines()] for block in SHELL)
    commands = executor + callers
    assert {command.pop(0) for command in commands} == {".venv/bin/python"}
    async with running(process.address, sys.executable, *executor[0]) as program:
        await program.wait_for_line("worker ")
        for command, status in zip(callers, (0, 1), strict=True):
            async with running(process.address, sys.executable, *command) as caller:
                assert await caller.exit_status() == status
