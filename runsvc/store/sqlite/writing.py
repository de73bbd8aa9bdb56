"""The writer's side of the SQLite store: transactions on the one connection that writes."""

from __future__ import annotations

import functools
import os
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from runsvc.core.errors import OutcomeUnknown, StoreBusy, StoreUnavailable
from runsvc.store import _rows
from runsvc.store.base import Now
from runsvc.store.sqlite import attachments
from runsvc.store.sqlite.cache import Kept, ThreadKey
from runsvc.store.sqlite.connection import (
    connect,
    connect_reader,
    make_writer,
    translated,
    translation,
)
from runsvc.store.sqlite.loading import Loading
from runsvc.store.sqlite.schema import check_ours, check_sound, migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from runsvc.store.base import Changes, Codec, Count, Loaded, Query, Saved
    from runsvc.store.sqlite.cache import RunCache
    from runsvc.timekeeper import Timekeeper

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

INSERT: Final = (
    f"INSERT INTO runs ({', '.join((*_rows.LASTING, *_rows.CHANGING))}) "
    f"VALUES ({', '.join('?' * len((*_rows.LASTING, *_rows.CHANGING)))})"
)
INSERT_ACTIVITY: Final = (
    f"INSERT INTO activity ({', '.join(_rows.ACTIVITY)}) "
    f"VALUES ({', '.join('?' * len(_rows.ACTIVITY))})"
)
_UPDATE: Final = (
    f"UPDATE runs SET {', '.join(f'{column} = ?' for column in _rows.CHANGING)} WHERE run_id = ?"
)
_UPDATE_ACTIVITY: Final = (
    f"UPDATE activity SET {', '.join(f'{column} = ?' for column in _rows.ACTIVITY[:-1])} "
    f"WHERE {_rows.ACTIVITY[-1]} = ?"
)
APPEND: Final = (
    f"INSERT INTO log ({', '.join(_rows.LOG)}, time) VALUES ({', '.join('?' * len(_rows.LOG))}, ?)"
)


def _watched(
    method: Callable[Concatenate[Writing, Arguments], Answer],
) -> Callable[Concatenate[Writing, Arguments], Answer]:
    """The method, whose failures become ours and, but for a lock, have the file opened anew."""

    @functools.wraps(method)
    def watched(writing: Writing, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        try:
            return method(writing, *args, **kwargs)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            failure = translation(error)
            writing.failed(failure)
            raise failure from error
        except StoreUnavailable as failure:
            writing.failed(failure)
            raise

    return watched


class _Clock(NamedTuple):
    time: int
    revision: int
    commits: int


class Writing:
    """Implements WritingStore. After any failure but a lock it opens the file anew, so it recovers by itself."""

    def __init__(
        self,
        path: Path,
        codec: Codec,
        check_lock: Callable[[], None],
        timekeeper: Timekeeper,
        cache: RunCache,
    ) -> None:
        self._path = path
        self._file = str(path)
        self._codec = codec
        self._timekeeper = timekeeper
        self._cache = cache
        #: StoreUnavailable when another server writes the file.
        self._check_lock = check_lock
        self._connection: sqlite3.Connection | None = None
        #: The file that was opened; another one in its place is not written to.
        self._identity: int | None = None
        self._store_id = ""
        #: The clock as the last transaction left it; None when it has to be read.
        self._clock: _Clock | None = None
        #: What SQLite counts the commits of others with, as of then.
        self._data_version = 0
        #: Commits before the present transaction, and what that changes.
        self._commits = 0
        self._changes: Changes | None = None

    def open_writing(self) -> None:
        """Open the file, creating or migrating it. StoreRefused when it is not ours, or is damaged."""
        with translated(), check_sound(self._path):
            self._connection = connect(self._path, create=True)
            check_ours(self._connection, self._path)
            # Before the switch to a write-ahead log, so that a new file's header names us from its first moment.
            migrate(self._connection, self._path, self._codec)
            make_writer(self._connection)
            self._store_id = _store_id(self._connection)
        self._identity = self._path.stat().st_ino

    def close_writing(self) -> None:
        """Let go of the file for good. The last connection to close folds the write-ahead log in."""
        self._identity = None
        self._discard()

    @_watched
    def begin(self) -> Now:
        connection = self._usable()
        connection.execute("BEGIN IMMEDIATE")
        try:
            clock = self._present_clock(connection)
        except sqlite3.Error:
            self.rollback()
            raise
        self._changes = None
        self._commits = clock.commits
        time = _rows.from_microseconds(self._timekeeper.now(not_before=clock.time))
        return Now(time, clock.revision, clock.commits)

    @_watched
    def load(self, queries: Collection[Query | Count]) -> Loaded:
        return Loading(self._open(), self._cache).load(queries)

    @_watched
    def save(self, changes: Changes) -> None:
        self._save_runs(changes.runs)
        self._many(APPEND, (_rows.from_entry(entry, changes.time) for entry in changes.log))
        for run_id in changes.deleted:
            self._run("DELETE FROM runs WHERE run_id = ?", run_id)
            self._run("UPDATE log SET body = NULL WHERE run_id = ?", run_id)
        for change in changes.attachments:
            attachments.save(self._open(), change)
        if changes.forgotten:
            self._run("DELETE FROM log WHERE revision <= ?", changes.forgotten)
        self._run(
            "UPDATE clock SET revision = ?, time = ?, commits = ?",
            changes.revision,
            _rows.microseconds(changes.time),
            self._commits + 1,
        )
        self._changes = changes

    def commit(self) -> None:
        changes, self._changes = self._changes, None
        if changes is None:
            self._commit()
            return
        run_ids = [*(saved.run.run_id for saved in changes.runs), *changes.deleted]
        # Those that gain or lose a run.
        threads = (
            ThreadKey(entry.owner, entry.thread_id)
            for entry in changes.log
            if entry.deleted or entry.previous_status is None
        )
        before = self._cache.begin_commit(run_ids, threads)
        committed: Sequence[Kept] = ()
        try:
            self._commit()
            committed = _committed(changes, before)
        finally:
            self._cache.end_commit(committed)
        if self._connection is not None:
            time = _rows.microseconds(changes.time)
            self._clock = _Clock(time, changes.revision, self._commits + 1)

    def failed(self, failure: StoreUnavailable) -> None:
        """Have the file opened anew, unless it is merely locked."""
        if not isinstance(failure, StoreBusy):
            self._discard()

    def _commit(self) -> None:
        try:
            self._open().execute("COMMIT")
        except sqlite3.Error as error:
            if self._happened():
                self._discard()
                return
            failure = translation(error)
            self.failed(failure)
            raise failure from error

    def rollback(self) -> None:
        if self._connection is None or not self._connection.in_transaction:
            return
        try:
            self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._discard()

    def _present_clock(self, connection: sqlite3.Connection) -> _Clock:
        """What is remembered, of the clock and of runs, holds for as long as nobody else writes to the file."""
        (data_version,) = connection.execute("PRAGMA data_version").fetchone()
        if self._clock is None or data_version != self._data_version:
            self._cache.clear()
            row = connection.execute("SELECT time, revision, commits FROM clock").fetchone()
            self._clock = _Clock._make(row)
            self._data_version = data_version
        return self._clock

    def _happened(self) -> bool:
        """Whether a commit that failed took effect all the same."""
        self.rollback()
        try:
            with closing(connect_reader(self._path)) as fresh:
                commits, store_id = fresh.execute("SELECT commits, store_id FROM clock").fetchone()
        except sqlite3.Error as error:
            self._discard()
            raise OutcomeUnknown from error
        if store_id != self._store_id:
            self._discard()
            raise OutcomeUnknown
        return bool(commits > self._commits)

    def _save_runs(self, runs: Sequence[Saved]) -> None:
        created = [saved for saved in runs if saved.creation is not None]
        changed = [saved for saved in runs if saved.creation is None]
        if created:
            self._many(INSERT, (_rows.lasting(new) + _rows.changing(new) for new in created))
            self._many(INSERT_ACTIVITY, map(_rows.activity, created))
        if changed:
            with_body = (saved for saved in changed if not saved.only_activity)
            self._many(_UPDATE, ((*_rows.changing(new), new.run.run_id) for new in with_body))
            self._many(_UPDATE_ACTIVITY, map(_rows.activity, changed))

    def _run(self, statement: str, *parameters: object) -> None:
        self._open().execute(statement, parameters)

    def _many(self, statement: str, rows: Iterable[_rows.Row]) -> None:
        self._open().executemany(statement, rows)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreUnavailable("it is closed")
        return self._connection

    def _usable(self) -> sqlite3.Connection:
        """The connection, opened anew when a failure closed it."""
        self._check_file()
        if self._connection is None:
            self._connection = self._reopened()
        return self._connection

    def _check_file(self) -> None:
        """What is written into a file that was moved or replaced would be gone at the next start."""
        if self._identity is None:
            raise StoreUnavailable("it is closed")
        try:
            found = os.stat(self._file).st_ino  # noqa: PTH116 - a Path takes four times as long.
        except OSError as error:
            raise StoreUnavailable(f"its file: {error.strerror}") from error
        if found != self._identity:
            raise StoreUnavailable("its file was replaced while it was in use")
        self._check_lock()

    def _reopened(self) -> sqlite3.Connection:
        connection = connect(self._path)
        try:
            make_writer(connection)
            if _store_id(connection) != self._store_id:
                raise StoreUnavailable("its file holds another store now")
        except BaseException:
            connection.close()
            raise
        return connection

    def _discard(self) -> None:
        self._clock = None
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(sqlite3.Error):
                connection.close()


def _committed(changes: Changes, before: Mapping[str, Kept]) -> list[Kept]:
    """What a commit leaves of its runs; of one that was not at hand before, not everything is known."""
    committed = []
    for run, encoded, creation, _ in changes.runs:
        if run.run_id in changes.deleted:
            continue
        if creation is not None:
            spec_hash = creation.request.spec_hash if creation.request else None
            record = _rows.record_of(run, encoded, spec_hash)
            committed.append(Kept(record, creation.kwargs, run))
        elif (known := before.get(run.run_id)) is not None:
            record = _rows.record_of(run, encoded, known.record.spec_hash)
            committed.append(Kept(record, known.kwargs, run))
    return committed


def _store_id(connection: sqlite3.Connection) -> str:
    rows = connection.execute("SELECT store_id FROM clock").fetchall()
    if not rows:
        # As SQLite itself says of a table that is gone.
        raise sqlite3.DatabaseError("no clock")
    return str(rows[0][0])
