"""Recorded histories of several processes, over a server that is killed and stopped, and whose disk fails."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from dataclasses import replace
from itertools import cycle, islice
from typing import TYPE_CHECKING

import pytest

from tests.history.caller import CALLERS
from tests.history.checker import violations
from tests.history.recording import Operation, Seen, Write, operations_in, writes_in
from tests.support.torment import Torment
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROCESSES = 3


def lines_in(files: list[Path]) -> list[str]:
    return [
        line
        for file in files
        if file.exists()
        for line in file.read_text().splitlines(keepends=True)
    ]


class Counted:
    """The lines of files that grow, without reading them again."""

    def __init__(self, files: list[Path]) -> None:
        self._files = dict.fromkeys(files, 0)
        self._lines = 0

    def lines(self) -> int:
        for file, offset in self._files.items():
            if file.exists():
                with file.open("rb") as opened:
                    opened.seek(offset)
                    added = opened.read()
                self._files[file] += len(added)
                self._lines += added.count(b"\n")
        return self._lines


async def record(
    folder: Path, seed: str, calls: int, disturbances: int
) -> tuple[list[Operation], list[Write]]:
    """Have some processes make calls, and disturb the server as many times meanwhile."""
    files = [folder / f"{seed}-{number}.jsonl" for number in range(PROCESSES)]
    torment = Torment(folder, "--log-keep", "100000000")
    async with torment.server as process:
        programs = [
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.history.caller",
                process.address,
                file,
                file.stem,
                str(calls),
            )
            for file in files
        ]
        ends = asyncio.gather(*(program.wait() for program in programs))
        counted, pause = Counted(files), calls * CALLERS * PROCESSES // (disturbances + 1)
        for number, disturb in enumerate(islice(cycle(torment.disturbances), disturbances), 1):
            due = number * pause
            await until(lambda due=due: ends.done() or counted.lines() >= due, 300)  # type: ignore[misc]
            if not ends.done():
                await disturb()
        assert set(await ends) == {0}
        assert await process.stop() == 0
    return operations_in(lines_in(files)), writes_in(folder / "runs.db")


@pytest.mark.parametrize(
    ("calls", "disturbances"),
    [
        pytest.param(100, 10, id="short", marks=pytest.mark.timeout(900)),
        # Some ten minutes.
        pytest.param(50_000, 200, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3_600)]),
    ],
)
async def test_every_answer_is_one_moment_between_call_and_return(
    tmp_path: Path, calls: int, disturbances: int
) -> None:
    operations, writes = await record(tmp_path, "caller", calls, disturbances)
    ends = Counter(each.outcome for each in operations)
    print(f"{len(operations):,} calls, {len(writes):,} changes, {dict(ends)}")
    assert violations(operations, writes) == []
    answered = {each.method for each in operations if each.outcome == "answered"}
    assert answered == {"create", "set_status", "cancel", "get", "page", "inflight"}


# The checker finds answers that were altered.

WRITES = [
    Write(1, 1, "a", "t", "1", 1, None),
    Write(2, 2, "a", "t", "1", 2, 1),
    Write(3, 4, "a", "t", "1", 6, 2),
    Write(4, 4, "b", "t", "2", 1, None),
    Write(5, 5, "b", "t", "2", 3, 1),
]
A1, A2, A3 = Seen("a", 1, 1), Seen("a", 2, 2), Seen("a", 6, 3)
B4, B5 = Seen("b", 1, 4), Seen("b", 3, 5)
HISTORY = [
    Operation("1", "create", 0, 10, "answered", "t", runs=(A1,)),
    Operation("3", "create", 1, 19, "busy", "t", runs=(Seen("a", 1, 0),)),
    Operation("s", "set_status", 11, 20, "answered", runs=(A2,), changed=True),
    Operation("g", "get", 12, 30, "answered", runs=(A2,)),
    Operation("2", "create", 31, 40, "answered", "t", runs=(B4, A3)),
    Operation("p", "page", 31, 45, "answered", "t", 20, (A2,)),
    Operation("q", "page", 41, 50, "answered", "t", 20, (B4, A3)),
    Operation("i", "inflight", 41, 50, "answered", "t", runs=(Seen("b", 0, 0),)),
    Operation("e", "set_status", 51, 60, "answered", runs=(B5,), changed=True),
    Operation("l", "page", 61, 70, "answered", "t", 1, (B5,)),
    Operation("n", "create", 61, 70, "refused", "t"),
]


def test_a_true_history_has_no_violation() -> None:
    assert violations(HISTORY, WRITES) == []


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param("q", {"runs": (B4, A2)}, id="a page in the middle of a call"),
        pytest.param("q", {"runs": (A3,)}, id="a page without the active run"),
        pytest.param("q", {"runs": (A2,)}, id="a page from before an acknowledged change"),
        pytest.param("q", {"runs": (A3, B4)}, id="a page in another order"),
        pytest.param("g", {"runs": (A3,), "end": 30}, id="a read of a change that begins later"),
        pytest.param("i", {"runs": ()}, id="no active run although there is one"),
        pytest.param("l", {"runs": (B4,)}, id="a read older than an acknowledged change"),
        pytest.param("l", {"runs": ()}, id="an empty page"),
        pytest.param("3", {"runs": (Seen("a", 3, 0),)}, id="busy with a run that has ended"),
        pytest.param("2", {"outcome": "refused"}, id="a refused call with an effect"),
        pytest.param("2", {"runs": (B4,)}, id="an answer without its displaced run"),
        pytest.param(
            "2", {"runs": (Seen("b", 1, 9), A3)}, id="an acknowledged change that is lost"
        ),
        pytest.param("s", {"runs": (Seen("a", 3, 2),)}, id="an acknowledged status that is wrong"),
        pytest.param("1", {"begin": 42, "end": 43}, id="an effect before the call"),
    ],
)
def test_an_altered_answer_is_found(name: str, change: dict[str, object]) -> None:
    altered = [replace(each, **change) if each.name == name else each for each in HISTORY]  # type: ignore[arg-type]
    assert violations(altered, WRITES) != []


async def test_alterations_of_a_real_history_are_found(tmp_path: Path) -> None:
    operations, writes = await record(tmp_path, "altered", 60, 0)
    assert violations(operations, writes) == []
    pages = [each for each in operations if each.method == "page" and len(each.runs) > 1]

    def altered(alter: Callable[[tuple[Seen, ...]], tuple[Seen, ...]]) -> None:
        for page in pages[:: max(1, len(pages) // 20)]:
            other = replace(page, runs=alter(page.runs))
            history = [other if each is page else each for each in operations]
            assert violations(history, writes) != [], other

    # Not the newest run: it may have been created during the call.
    altered(lambda runs: runs[:-1])
    altered(lambda runs: runs[::-1])
    altered(lambda runs: (runs[0]._replace(status=5), *runs[1:]))
    altered(lambda runs: (runs[0]._replace(revision=runs[0].revision + 1), *runs[1:]))
