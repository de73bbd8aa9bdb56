"""Stores with many runs, finished or active, created by writing rows directly."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from runsvc.core import lifecycle
from runsvc.core.model import RunSpec, RunStatus, Stamp
from runsvc.store import rows
from runsvc.store.sqlite import SqliteStore, saving
from runsvc.store.values import Creation, LogEntry, Saved
from runsvc.wire.codec import RunCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from runsvc.core.model import Run

#: The thread of every tenth run, or of every n-th with `fill(every=n)`.
BIG_THREAD: Final = "big"

_BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)


def run_id_of(number: int) -> str:
    """The id of the n-th run in a filled store, counted from 1."""
    return str(UUID(int=number))


def fill(
    db: Path,
    count: int,
    *,
    every: int = 10,
    log_keep: int = 100_000,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Create a store with this many finished runs, and the part of their log that compaction keeps.

    Call `progress` with the number of each run.
    """
    asyncio.run(_create_store(db))
    with closing(sqlite3.connect(db)) as file:
        # An incomplete file is created again.
        file.execute("PRAGMA synchronous = OFF")
        runs = _finished(range(1, count + 1), every)
        _insert(file, _with_progress(runs, progress), logged_from=count + 1 - log_keep)
        file.execute(
            "UPDATE clock SET revision = ?, time = ?", (count, rows.microseconds(_time(count)))
        )
        file.commit()
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def fill_active(db: Path, count: int, **spec: Any) -> None:
    """Create a store with this many active runs, each on a thread of its own, and an empty log."""
    asyncio.run(_create_store(db))
    with closing(sqlite3.connect(db)) as file:
        file.execute("PRAGMA synchronous = OFF")
        _insert(file, _active(range(1, count + 1), spec))
        file.execute("UPDATE clock SET revision = ?", (count,))
        file.commit()
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def fill_waiting(db: Path, count: int, owners: Sequence[str], assistant_id: str) -> None:
    """Create a store with this many runs that wait for a worker. The first owner has nine of ten."""
    asyncio.run(_create_store(db))
    with closing(sqlite3.connect(db)) as file:
        file.execute("PRAGMA synchronous = OFF")
        _insert(file, _waiting(range(1, count + 1), owners, assistant_id))
        file.execute("UPDATE clock SET revision = ?", (count,))
        file.commit()
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def new_rows(count: int) -> Iterator[tuple[rows.Row, rows.Row, rows.Row]]:
    """The rows of this many runs: in `runs`, in `activity` and in `log`, for their ends."""
    for saved in _finished(range(1, count + 1), 10):
        yield _run_row(saved), rows.activity_values(saved), _log_row(saved)


async def _create_store(db: Path) -> None:
    store = SqliteStore(db, RunCodec())
    await store.open()
    await store.close()


def _with_progress(runs: Iterable[Saved], progress: Callable[[int], None]) -> Iterator[Saved]:
    for saved in runs:
        progress(saved.run.revision)
        yield saved


def _finished(numbers: range, every: int) -> Iterator[Saved]:
    codec = RunCodec()
    pattern = lifecycle.create(
        RunSpec(thread_id=BIG_THREAD), run_id="r", owner="", at=Stamp(1, _BEGIN)
    )
    for number in numbers:
        run = _finished_run(pattern, number, every)
        yield Saved(run, codec.encode(run), Creation(b"", None))


def _active(numbers: range, spec: Mapping[str, Any]) -> Iterator[Saved]:
    codec, now = RunCodec(), datetime.now(UTC)
    for number in numbers:
        run = lifecycle.create(
            RunSpec(thread_id=f"t{number}", **spec),
            run_id=run_id_of(number),
            owner="",
            at=Stamp(number, now + number * timedelta(microseconds=1)),
        )
        yield Saved(run, codec.encode(run), Creation(b"", None))


def _waiting(numbers: range, owners: Sequence[str], assistant_id: str) -> Iterator[Saved]:
    codec, now = RunCodec(), datetime.now(UTC)
    turns = Counter[str]()
    for number in numbers:
        owner = owners[0] if number % 10 else owners[1 + number // 10 % (len(owners) - 1)]
        run = lifecycle.create(
            RunSpec(thread_id=f"t{number}", assistant_id=assistant_id),
            run_id=run_id_of(number),
            owner=owner,
            at=Stamp(number, now + number * timedelta(microseconds=1)),
            turn=turns[owner],
        )
        turns[owner] += 1
        yield Saved(run, codec.encode(run), Creation(b"", None))


def _finished_run(pattern: Run, number: int, every: int) -> Run:
    time = _time(number)
    return replace(
        pattern,
        run_id=run_id_of(number),
        thread_id=f"t{number}" if number % every else BIG_THREAD,
        status=RunStatus.SUCCESS,
        revision=number,
        created_at=time,
        updated_at=time,
        ended_at=time,
    )


def _time(number: int) -> datetime:
    return _BEGIN + timedelta(milliseconds=number)


def _insert(
    file: sqlite3.Connection, runs: Iterable[Saved], logged_from: int | None = None
) -> None:
    """Write runs, and the log from a revision on."""
    runs = iter(runs)
    while chunk := list(islice(runs, 1_000)):
        file.executemany(saving.INSERT, map(_run_row, chunk))
        file.executemany(saving.INSERT_ACTIVITY, map(rows.activity_values, chunk))
        if logged_from is not None:
            logged = (saved for saved in chunk if saved.run.revision >= logged_from)
            file.executemany(saving.APPEND, map(_log_row, logged))


def _run_row(saved: Saved) -> rows.Row:
    return rows.constant_values(saved) + rows.changing_values(saved)


def _log_row(saved: Saved) -> rows.Row:
    run = saved.run
    return rows.from_entry(
        LogEntry(
            revision=run.revision,
            call_end=run.revision,
            run_id=run.run_id,
            owner=run.owner,
            thread_id=run.thread_id,
            assistant_id=run.assistant_id,
            status=run.status,
            previous_status=RunStatus.RUNNING,
            deleted=False,
            body=b"".join(saved.encoded),
        ),
        rows.microseconds(run.updated_at),
    )
