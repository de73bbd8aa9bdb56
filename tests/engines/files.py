"""Helpers for tests of the SQLite store: its file, its cache, refusals, and commits that fail."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.core.errors import (
    StoreRefused,
    StoreUnavailable,
)
from runsvc.store.sqlite import SqliteStore
from tests.conformance.driver import CODEC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


@contextmanager
def other_connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        yield connection


def execute(path: Path, *statements: str) -> list[Any]:
    rows: list[Any] = []
    with other_connection(path) as connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
    return rows


def pragma(connection: sqlite3.Connection | None, name: str) -> object:
    assert connection is not None
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return value


async def refusal(path: Path) -> str:
    """The detail of the StoreRefused that opening this path raises."""
    store = SqliteStore(path, CODEC)
    with pytest.raises(StoreRefused) as caught:
        await store.open()
    assert caught.value.path == str(path)
    assert str(caught.value).startswith(f"Cannot use {path}: ")
    with pytest.raises(StoreUnavailable):
        store.writing.begin()
    with pytest.raises(StoreUnavailable):
        await store.reading.clock()
    return caught.value.detail


class FailingCommit:
    """A connection with a COMMIT that raises, after or before it took effect."""

    def __init__(self, real: sqlite3.Connection, *, happens: bool, also: Callable[[], object]):
        self._real = real
        self._happens = happens
        self._also = also
        self.code: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, statement: str, *parameters: Any) -> Any:
        if statement != "COMMIT":
            return self._real.execute(statement, *parameters)
        if self._happens:
            self._real.execute(statement)
        self._also()
        error = sqlite3.OperationalError("disk I/O error")
        if self.code is not None:
            error.sqlite_errorcode = self.code
        raise error


def fail_commits(
    store: SqliteStore, *, happens: bool, also: Callable[[], object] = bool
) -> FailingCommit:
    assert store.writing._connection is not None
    failing = FailingCommit(store.writing._connection, happens=happens, also=also)
    store.writing._connection = failing  # type: ignore[assignment]
    return failing


def clear_cache(store: SqliteStore) -> None:
    store._cache.clear()


def run_after_next_select(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]
) -> None:
    """Run an action after a reader's next SELECT, before the reader fills the cache."""
    fetch = store.reading._fetch_on_loop

    def fetching(statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        found = fetch(statement, parameters)
        monkeypatch.setattr(store.reading, "_fetch_on_loop", fetch)
        action()
        return found

    monkeypatch.setattr(store.reading, "_fetch_on_loop", fetching)
