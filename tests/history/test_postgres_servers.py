"""Recorded histories over three servers of one database, which are killed, stopped and paused in turn."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from itertools import cycle, islice, product
from typing import TYPE_CHECKING

import pytest

from tests.history.caller import CALLERS
from tests.history.checker import violations
from tests.history.recording import operations_in
from tests.history.test_history import Counted, lines_in
from tests.support.cluster import cluster
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

SERVERS = 3


@pytest.mark.parametrize(
    ("calls", "disturbances"),
    [
        pytest.param(60, 6, id="short", marks=pytest.mark.timeout(900)),
        # Some ten minutes.
        pytest.param(20_000, 150, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3_600)]),
    ],
)
async def test_the_answers_of_all_servers_are_one_history(
    tmp_path: Path, postgres_url: str, calls: int, disturbances: int
) -> None:
    files = [tmp_path / f"caller-{number}.jsonl" for number in range(SERVERS)]
    async with cluster(postgres_url, "--log-keep", "100000000", count=SERVERS) as three:
        programs = [
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.history.caller",
                server.address,
                file,
                file.stem,
                str(calls),
            )
            for server, file in zip(three.servers, files, strict=True)
        ]
        ends = asyncio.gather(*(program.wait() for program in programs))
        counted, pause = Counted(files), calls * CALLERS * SERVERS // (disturbances + 1)
        acts = cycle(product(range(SERVERS), (three.kill, three.stop, three.pause)))
        for number, (server, act) in enumerate(islice(acts, disturbances), 1):
            due = number * pause
            await until(lambda due=due: ends.done() or counted.lines() >= due, 300)  # type: ignore[misc]
            if not ends.done():
                await act(server)
        assert set(await ends) == {0}
        writes = three.writes()
    operations = operations_in(lines_in(files))
    outcomes = Counter(each.outcome for each in operations)
    print(f"{len(operations):,} calls, {len(writes):,} changes, {dict(outcomes)}")
    assert violations(operations, writes) == []
    answered = {each.method for each in operations if each.outcome == "answered"}
    assert answered == {"create", "set_status", "cancel", "get", "page", "inflight"}
