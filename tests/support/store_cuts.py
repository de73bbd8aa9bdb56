"""Cuts a store's life at its writes: `python -m tests.support.store_cuts FOLDER STEP`, with the library of shim.py.

For each scenario and each STEP-th change of a file, a process works on a fresh copy of the files and is killed in that
change; a write is cut in half. Then the store must open with everything that was acknowledged, or be refused with
advice.
Prints the number of cuts.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from runsvc.core.errors import StoreRefused
from runsvc.store.sqlite import SqliteStore, copies
from runsvc.store.sqlite.consistency import contradiction
from tests.conformance.driver import CODEC, SUCCESS, Driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OLD = Path(__file__).parents[1] / "engines" / "release_0_1_0.sql"


async def work(db: Path, acknowledge: Callable[[str], object]) -> None:
    """First start, creations, changes, checkpoints, a stop, and a second start."""
    for _ in range(2):
        store = SqliteStore(db, CODEC)
        await store.open()
        driver = Driver(store)
        for number in range(3):
            run = driver.create(f"t{number}")
            acknowledge(run.run_id)
            driver.report(run, SUCCESS)
            if number == 1:
                store.writing._connected().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        await store.close()


async def start(db: Path, _: Callable[[str], object]) -> None:
    """A start, with a migration if the store is an old one."""
    store = SqliteStore(db, CODEC)
    await store.open()
    await store.close()


async def back_up(db: Path, _: Callable[[str], object]) -> None:
    copies.backup(db, db.with_name("backup.db"))


async def restore(db: Path, _: Callable[[str], object]) -> None:
    copies.restore(db.with_name("source.db"), db)


def nothing(_: Path) -> None:
    """No store yet."""


def old(db: Path) -> None:
    """A store of release 0.1.0."""
    with closing(sqlite3.connect(db)) as connection:
        connection.executescript(OLD.read_text("utf-8"))
        connection.execute("PRAGMA journal_mode = WAL")


def filled(db: Path) -> None:
    """A store with runs, most of them in the -wal, as a crash leaves it; and an older backup."""
    live = db.with_name("live.db")

    async def fill() -> None:
        store = SqliteStore(live, CODEC)
        await store.open()
        for number in range(9):
            Driver(store).create(f"t{number}", kwargs=bytes(3_000))
            if number == 3:
                copies.backup(live, db.with_name("source.db"))
        for suffix in ("", "-wal"):
            shutil.copy(f"{live}{suffix}", f"{db}{suffix}")
        await store.close()

    asyncio.run(fill())
    for path in db.parent.glob("live.db*"):
        path.unlink()


SCENARIOS = ((nothing, work), (old, start), (filled, start), (filled, back_up), (filled, restore))


def run_ids(db: Path) -> set[str]:
    with closing(sqlite3.connect(db)) as connection:
        return {run_id for (run_id,) in connection.execute("SELECT run_id FROM runs")}


def cut(scenario: Callable[..., object], db: Path, at: int) -> tuple[bool, set[str]]:
    """Run a scenario in a process that is killed in its change number `at`. False if it ended before."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        os.environ["SHIM_KILL_AT"] = str(at)
        os.environ["SHIM_FILES"] = str(db.parent)
        asyncio.run(scenario(db, lambda run_id: os.write(writing, f"{run_id}\n".encode())))  # type: ignore[arg-type]
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as acknowledged:
        found = set(acknowledged.read().split())
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        return True, found
    assert os.waitstatus_to_exitcode(status) == 0
    return False, found


def check(db: Path, expected: list[set[str]]) -> None:
    """The store opens and has at least the runs of one of these sets; or it is refused with advice."""
    advice = ""
    try:
        asyncio.run(start(db, str))
    except StoreRefused as refused:
        advice = refused.detail
    if advice:
        assert "restore a backup" in advice, advice
        return
    found = run_ids(db)
    assert any(found >= each for each in expected), (found, expected)
    with closing(sqlite3.connect(db)) as connection:
        assert contradiction(connection, full=True) is None


def cuts(folder: Path, step: int) -> Iterator[str]:
    for number, (prepare, scenario) in enumerate(SCENARIOS):
        origin = folder / f"{number}"
        origin.mkdir()
        prepare(origin / "runs.db")
        at, was_cut = 1, True
        while was_cut:
            place = folder / "place"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(origin, place)
            db = place / "runs.db"
            before = [] if prepare is nothing else stored(origin, folder)
            was_cut, acknowledged = cut(scenario, db, at)
            if scenario is back_up and db.with_name("backup.db").exists():
                check(db.with_name("backup.db"), before[:1])
            if scenario is restore:
                check(db, before)
            else:
                check(db, [acknowledged.union(*before[:1])])
            print(f"{scenario.__name__} {at}", file=sys.stderr)
            yield f"{scenario.__name__} {at}"
            at += step


def stored(origin: Path, folder: Path) -> list[set[str]]:
    """Ids of the runs of the store, and of its backup if there is one."""
    shutil.rmtree(folder / "read", ignore_errors=True)
    shutil.copytree(origin, folder / "read")
    names = ("runs.db", "source.db")
    return [run_ids(folder / "read" / name) for name in names if (origin / name).exists()]


if __name__ == "__main__":
    print(len(list(cuts(Path(sys.argv[1]), int(sys.argv[2])))))
