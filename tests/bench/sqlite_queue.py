"""A peer for claims: the usual queue in a SQLite file, with a thread for each worker."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from tests.bench.load import Sample
from tests.bench.machine import on_servers_core

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "a SQLite queue"
#: More jobs than one measurement takes, for each second.
_RATE: Final = 20_000
_TABLE: Final = """
    CREATE TABLE jobs (id INTEGER PRIMARY KEY, status INTEGER NOT NULL, worker TEXT, payload TEXT);
    CREATE INDEX jobs_waiting ON jobs (id) WHERE status = 0;
"""
_NEXT: Final = "SELECT id, payload FROM jobs WHERE status = 0 ORDER BY id LIMIT 1"
_TAKE: Final = "UPDATE jobs SET status = 1, worker = ? WHERE id = ?"


def claim(db: Path, workers: int, seconds: float) -> Sample:
    """Let the workers take one job after another. Each claim is a transaction, durable when it returns."""
    _fill(db, int(_RATE * seconds) + workers)
    sample = Sample()
    found: list[list[float]] = [[] for _ in range(workers)]
    with on_servers_core():
        cpu, begin = time.process_time(), time.perf_counter()
        threads = [
            threading.Thread(target=_work, args=(db, f"w{number}", begin + seconds, mine))
            for number, mine in enumerate(found)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sample.seconds = time.perf_counter() - begin
        sample.server_cpu = time.process_time() - cpu
    sample.latencies = sorted(latency for mine in found for latency in mine)
    return sample


def _fill(db: Path, count: int) -> None:
    with closing(sqlite3.connect(db)) as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.executescript(_TABLE)
        file.executemany(
            "INSERT INTO jobs (status, payload) VALUES (0, ?)", (("{}",) for _ in range(count))
        )
        file.commit()


def _work(db: Path, worker: str, end: float, latencies: list[float]) -> None:
    with closing(sqlite3.connect(db, isolation_level=None, timeout=60)) as file:
        file.execute("PRAGMA synchronous = FULL")
        while (begin := time.perf_counter()) < end:
            file.execute("BEGIN IMMEDIATE")
            found = file.execute(_NEXT).fetchone()
            if found is not None:
                file.execute(_TAKE, (worker, found[0]))
            file.execute("COMMIT")
            if found is None:
                return
            latencies.append(time.perf_counter() - begin)
