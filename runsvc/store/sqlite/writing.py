"""The writing part of the SQLite store: transactions on the only connection that writes."""

from __future__ import annotations

import functools
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from runsvc.core.errors import OutcomeUnknown, StoreBusy, StoreUnavailable
from runsvc.core.model import RunStatus
from runsvc.store import rows
from runsvc.store.sqlite import saving
from runsvc.store.sqlite.cache import ThreadKey
from runsvc.store.sqlite.connection import (
    connect,
    connect_reader,
    make_writer,
    translated,
    translation,
)
from runsvc.store.sqlite.consistency import check_before_open
from runsvc.store.sqlite.file_guard import HOLDS_ANOTHER
from runsvc.store.sqlite.loading import Loading
from runsvc.store.sqlite.queue import SqliteQueue
from runsvc.store.sqlite.schema import check_version, migrate, refusing_damage
from runsvc.store.values import Now

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from runsvc.store.base import Codec
    from runsvc.store.queries import Count, Query
    from runsvc.store.sqlite.cache import CachedRun, RunCache
    from runsvc.store.sqlite.file_guard import FileGuard
    from runsvc.store.values import Changes, Loaded
    from runsvc.timekeeper import Timekeeper

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

#: Errors of a commit that was not written to its end.
_INCOMPLETE: Final = frozenset({sqlite3.SQLITE_FULL})


def _recovering(
    method: Callable[Concatenate[SqliteWriting, Arguments], Answer],
) -> Callable[Concatenate[SqliteWriting, Arguments], Answer]:
    """Translate the errors of a method. After a failure other than a lock, the next transaction reopens the file."""

    @functools.wraps(method)
    def recovering(
        writing: SqliteWriting, /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Answer:
        try:
            return method(writing, *args, **kwargs)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            failure = translation(error)
            writing.fail(failure)
            raise failure from error
        except StoreUnavailable as failure:
            writing.fail(failure)
            raise

    return recovering


class _Clock(NamedTuple):
    time: int
    revision: int
    commits: int


class SqliteWriting:
    """Implements WritingStore. It reopens the file after any failure other than a lock, and so recovers by itself."""

    def __init__(
        self,
        path: Path,
        codec: Codec,
        guard: FileGuard,
        timekeeper: Timekeeper,
        cache: RunCache,
    ) -> None:
        self._path = path
        self._codec = codec
        self._timekeeper = timekeeper
        self._cache = cache
        self._guard = guard
        self._connection: sqlite3.Connection | None = None
        self._store_id = ""
        #: The clock after the last transaction; None if it has to be read.
        self._clock: _Clock | None = None
        #: PRAGMA data_version as of then: it changes with each commit of another program.
        self._data_version = 0
        #: Commits before the open transaction.
        self._commits = 0
        #: The staged changes.
        self._changes: Changes | None = None
        #: False only if the store has no queued run, as of the last transaction.
        self._may_have_queued = True
        self.queue = SqliteQueue(self._connected)

    def open(self) -> None:
        """Open the file; create or migrate it if needed. StoreRefused if it is another program's, or damaged."""
        self._guard.before_open()
        with translated(), refusing_damage(self._path):
            check_before_open(self._path)
            self._connection = connect(self._path)
            check_version(self._connection, self._path)
            # Before the switch to a write-ahead log, so that the header of a new file names runsvc from the start.
            is_copy = self._guard.is_copy(self._connection)
            migrate(self._connection, self._path, self._codec, is_copy=is_copy)
            make_writer(self._connection)
            self._store_id = _store_id(self._connection)
            (commits,) = self._connection.execute("SELECT commits FROM clock").fetchone()
        self._guard.begin(self._store_id, commits)

    def close(self) -> None:
        """Close the file. The last connection to close moves the write-ahead log into the file."""
        self._disconnect()
        self._guard.end()

    @_recovering
    def begin(self) -> Now:
        connection = self._usable_connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            clock = self._current_clock(connection)
        except sqlite3.Error:
            self.rollback()
            raise
        self._changes = None
        self._commits = clock.commits
        time = rows.from_microseconds(self._timekeeper.now(not_before=clock.time))
        return Now(time, clock.revision, clock.commits, self._has_queued(connection))

    @_recovering
    def load(self, queries: Collection[Query | Count]) -> Loaded:
        return Loading(self._connected(), self._codec, self._cache).load(queries)

    @_recovering
    def save(self, changes: Changes) -> None:
        saving.save(self._connected(), changes, commits=self._commits + 1)
        self._changes = changes

    def commit(self) -> None:
        changes, self._changes = self._changes, None
        if changes is None:
            self._commit()
            return
        run_ids = [*(saved.run.run_id for saved in changes.runs), *changes.deleted]
        # The threads that gain or lose a run.
        threads = (
            ThreadKey(entry.owner, entry.thread_id)
            for entry in changes.log
            if entry.deleted or entry.previous_status is None
        )
        before = self._cache.begin_commit(run_ids, threads)
        committed: Sequence[CachedRun] = ()
        try:
            self._commit()
            committed = saving.committed(changes, before)
        finally:
            self._cache.end_commit(committed)
        self._may_have_queued |= any(entry.status is RunStatus.QUEUED for entry in changes.log)
        if self._connection is not None:
            time = rows.microseconds(changes.time)
            self._clock = _Clock(time, changes.revision, self._commits + 1)
            self._guard.committed(self._commits + 1, self._connection)

    def fail(self, failure: StoreUnavailable) -> None:
        """Close the connection, unless the file is merely locked. The next transaction reopens the file."""
        if not isinstance(failure, StoreBusy):
            self._disconnect()

    def _commit(self) -> None:
        try:
            self._connected().execute("COMMIT")
        except sqlite3.Error as error:
            if self._took_effect() or self._settle(error):
                self._disconnect()
                return
            failure = translation(error)
            self.fail(failure)
            raise failure from error

    def rollback(self) -> None:
        if self._connection is None or not self._connection.in_transaction:
            return
        try:
            self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._disconnect()

    def _current_clock(self, connection: sqlite3.Connection) -> _Clock:
        """The clock. It is read again, and the cache cleared, if another program has written to the file."""
        (data_version,) = connection.execute("PRAGMA data_version").fetchone()
        if self._clock is None or data_version != self._data_version:
            self._cache.clear()
            self._may_have_queued = True
            row = connection.execute("SELECT time, revision, commits FROM clock").fetchone()
            self._clock = _Clock._make(row)
            self._data_version = data_version
        return self._clock

    def _has_queued(self, connection: sqlite3.Connection) -> bool:
        if self._may_have_queued:
            statement = "SELECT EXISTS (SELECT 1 FROM runs WHERE status = 7)"
            self._may_have_queued = bool(connection.execute(statement).fetchone()[0])
        return self._may_have_queued

    def _took_effect(self) -> bool:
        """True if a commit took effect although it raised. OutcomeUnknown if that cannot be determined."""
        self.rollback()
        try:
            with closing(connect_reader(self._path)) as reader:
                commits, store_id = reader.execute("SELECT commits, store_id FROM clock").fetchone()
        except sqlite3.Error as error:
            self._disconnect()
            raise OutcomeUnknown from error
        if store_id != self._store_id:
            self._disconnect()
            raise OutcomeUnknown
        return bool(commits > self._commits)

    def _settle(self, error: sqlite3.Error) -> bool:
        """Commit once more, so that a failed commit cannot take effect later. True if it has taken effect by now.

        A flush that fails leaves a complete commit in the -wal, which a crash would bring to life. Another commit
        overwrites it. OutcomeUnknown if that fails too.
        """
        if getattr(error, "sqlite_errorcode", None) in _INCOMPLETE or isinstance(
            translation(error), StoreBusy
        ):
            return False
        try:
            with closing(self._reconnect()) as connection:
                connection.execute("BEGIN IMMEDIATE")
                (commits,) = connection.execute("SELECT commits FROM clock").fetchone()
                connection.execute("UPDATE clock SET commits = commits + 1")
                connection.execute("COMMIT")
        except (sqlite3.Error, StoreUnavailable) as failure:
            self._disconnect()
            raise OutcomeUnknown from failure
        return bool(commits > self._commits)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreUnavailable("it is closed")
        return self._connection

    def _usable_connection(self) -> sqlite3.Connection:
        """The connection, reopened if a failure closed it. StoreUnavailable if the file or the lock is gone."""
        self._guard.check(self._connection)
        if self._connection is None:
            self._connection = self._reconnect()
            self._guard.reopened()
        return self._connection

    def _reconnect(self) -> sqlite3.Connection:
        connection = connect(self._path)
        try:
            make_writer(connection)
            if _store_id(connection) != self._store_id:
                raise StoreUnavailable(HOLDS_ANOTHER)
        except BaseException:
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        self._clock = None
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(sqlite3.Error):
                connection.close()


def _store_id(connection: sqlite3.Connection) -> str:
    found = connection.execute("SELECT store_id FROM clock").fetchall()
    if not found:
        # The error that SQLite raises for a missing table.
        raise sqlite3.DatabaseError("no clock")
    return str(found[0][0])
