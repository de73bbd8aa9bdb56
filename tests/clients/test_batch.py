"""The example of a batch, with four workers in three languages."""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import pytest

from tests.clients.conftest import languages
from tests.clients.python.programs import HERE, ROOT, running
from tests.support.server import Process

if TYPE_CHECKING:
    from pathlib import Path

#: More than all workers together perform at a time.
RUNS: Final = 80
PYTHON: Final = (sys.executable, f"{HERE}/examples/worker.py", "4")
#: Built with the driver of its language.
TYPESCRIPT: Final = ("node", f"{ROOT}/clients/typescript/dist/example/worker.js")
_SHARE: Final = re.compile(r"worker (\S+): (\d+)")


async def built_go_worker(folder: Path) -> tuple[str]:
    program = str(folder / "worker")
    process = await asyncio.create_subprocess_exec(
        *("go", "build", "-o", program, "./example/worker"), cwd=ROOT / "clients/go"
    )
    assert await process.wait() == 0
    return (program,)


@pytest.mark.clients
@pytest.mark.timeout(900)
async def test_four_workers_in_three_languages_share_a_batch(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    missing = {"go", "python", "typescript"}.difference(languages(request.config))
    if missing:
        pytest.skip(f"no driver of {', '.join(sorted(missing))}")
    go = await built_go_worker(tmp_path)
    async with Process(tmp_path / "runs.db") as server, AsyncExitStack() as stack:
        for command, ready in (
            (PYTHON, "worker "),
            (PYTHON, "worker "),
            (TYPESCRIPT, "Waiting for runs"),
            (go, "the worker waits"),
        ):
            worker = await stack.enter_async_context(running(server.address, *command))
            await worker.wait_for_line(ready)
        batch = (sys.executable, f"{HERE}/examples/batch.py", "--runs", str(RUNS))
        async with running(server.address, *batch) as program:
            await program.wait_for_line(f"RUN_STATUS_SUCCESS: {RUNS}")
            shares = [_SHARE.fullmatch(line) for line in await program.read_lines()]
            assert await program.exit_status() == 0
    assert all(shares), shares
    # Runs that become claimable wake the workers in turn, so each has some.
    assert len(shares) == 4
    assert sum(int(share[2]) for share in shares if share) == RUNS
