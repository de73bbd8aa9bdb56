"""The content of a file, for a copy into another engine."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from runsvc.core.errors import StoreRefused
from runsvc.store.contents import Clock
from runsvc.store.sqlite.connection import connect, translated
from runsvc.store.sqlite.consistency import contradiction
from runsvc.store.sqlite.copies import existing
from runsvc.store.sqlite.lock import ServerLock
from runsvc.store.sqlite.schema import check_current, refusing_damage

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from runsvc.store.contents import Table
    from runsvc.store.rows import Row


class SqliteContents:
    """Implements Contents on an open file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def clock(self) -> Clock:
        statement = """
            SELECT revision, time, coalesce((SELECT min(revision) - 1 FROM log), revision) FROM clock
        """
        return Clock._make(self._connection.execute(statement).fetchone())

    def count(self, table: Table) -> int:
        (count,) = self._connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()
        return int(count)

    def rows(self, table: Table) -> Iterator[Row]:
        columns = ", ".join(table.columns)
        # Not `yield from`: a generator that outlives the connection would fail when it is closed.
        return self._connection.execute(
            f"SELECT {columns} FROM {table.name} ORDER BY {table.columns[0]}"
        )


@contextmanager
def locked_contents(path: Path) -> Iterator[SqliteContents]:
    """The content of a file, which is checked, not changed, and locked against servers during the block.

    Raise StoreRefused if a server uses the file, if it is damaged, or if its schema is not the current one.
    """
    path = existing(path)
    lock = ServerLock(path)
    lock.take()
    try:
        with translated(), refusing_damage(path), closing(connect(path, mode="ro")) as connection:
            check_current(connection, path)
            detail = contradiction(connection, full=True)
            if detail is not None:
                raise StoreRefused(str(path), f"it contradicts itself ({detail}): copy a backup")
            # One transaction: a program without the lock may write meanwhile.
            connection.execute("BEGIN")
            yield SqliteContents(connection)
    finally:
        lock.release()
