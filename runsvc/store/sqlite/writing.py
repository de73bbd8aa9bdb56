"""The writer's side of the SQLite store: transactions on the one connection that writes."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from runsvc.errors import OutcomeUnknown, StoreBusy, StoreUnavailable
from runsvc.store import _rows
from runsvc.store.attachments import Abandoned, ReleasedCount
from runsvc.store.base import (
    ActiveCount,
    ActiveOnThread,
    ById,
    ByRequest,
    DueLeases,
    DueTimeouts,
    Loaded,
    NewestActive,
    Now,
    Orphans,
    Remains,
)
from runsvc.store.sqlite import attachments
from runsvc.store.sqlite.connection import (
    connect,
    connect_reader,
    make_writer,
    translated,
    translation,
)
from runsvc.store.sqlite.schema import check_ours, check_sound, migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from runsvc.store.base import Changes, Count, Query, Record, Saved
    from runsvc.timekeeper import Timekeeper

_RECORD: Final = ", ".join(_rows.RECORD)
#: A record whose body is left out, so that a large one is not even read.
_BARE: Final = _RECORD.replace("body", "x''")
INSERT: Final = (
    f"INSERT INTO runs ({', '.join((*_rows.LASTING, *_rows.CHANGING))}) "
    f"VALUES ({', '.join('?' * len((*_rows.LASTING, *_rows.CHANGING)))})"
)
_UPDATE: Final = (
    f"UPDATE runs SET {', '.join(f'{column} = ?' for column in _rows.CHANGING)} WHERE run_id = ?"
)
_ACTIVE_ON_THREAD: Final = "WHERE owner = ? AND thread_id = ? AND status IN (1, 2)"
_NEWEST_FIRST: Final = "ORDER BY created_at DESC, run_id DESC"
_END_OF_TIME: Final = 2**63 - 1
_LEASE_IS_DUE: Final = "lease_expires_at <= ? AND lease_ttl <= ?"
_TIMEOUT_IS_DUE: Final = "timeout_at <= ? AND timeout_at - coalesce(started_at, created_at) <= ?"
#: Parameters with which nothing is due.
_NEVER: Final = (-1, -1)
APPEND: Final = (
    f"INSERT INTO log ({', '.join(_rows.LOG)}, time) VALUES ({', '.join('?' * len(_rows.LOG))}, ?)"
)


class Writing:
    """Implements WritingStore. After any failure but a lock it opens the file anew, so it recovers by itself."""

    def __init__(self, path: Path, check_lock: Callable[[], None], timekeeper: Timekeeper) -> None:
        self._path = path
        self._timekeeper = timekeeper
        #: StoreUnavailable when another server writes the file.
        self._check_lock = check_lock
        self._connection: sqlite3.Connection | None = None
        #: The file that was opened; another one in its place is not written to.
        self._identity: int | None = None
        self._store_id = ""
        #: Commits before the present transaction.
        self._commits = 0

    def open_writing(self) -> None:
        """Open the file, creating or migrating it. StoreRefused when it is not ours, or is damaged."""
        with translated(), check_sound(self._path):
            self._connection = connect(self._path, create=True)
            check_ours(self._connection, self._path)
            # Before the switch to a write-ahead log, so that a new file's header names us from its first moment.
            migrate(self._connection, self._path)
            make_writer(self._connection)
            self._store_id = _store_id(self._connection)
        self._identity = self._path.stat().st_ino

    def close_writing(self) -> None:
        """Let go of the file for good. The last connection to close folds the write-ahead log in."""
        self._identity = None
        self._discard()

    def begin(self) -> Now:
        with self._watched():
            connection = self._usable()
            connection.execute("BEGIN IMMEDIATE")
            try:
                row = connection.execute("SELECT time, revision, commits FROM clock").fetchone()
            except sqlite3.Error:
                self.rollback()
                raise
        recorded, revision, self._commits = row
        time = _rows.from_microseconds(self._timekeeper.now(not_before=recorded))
        return Now(time, revision, self._commits)

    def load(self, queries: Collection[Query | Count]) -> Loaded:
        records: dict[Query, Sequence[Record]] = {}
        counts: dict[Count, int] = {}
        with self._watched():
            for query in queries:
                if isinstance(query, (ActiveCount, ReleasedCount)):
                    counts[query] = self._count(query)
                else:
                    records[query] = self._find(query)
        return Loaded(records, counts)

    def save(self, changes: Changes) -> None:
        with self._watched():
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

    def commit(self) -> None:
        try:
            self._open().execute("COMMIT")
        except sqlite3.Error as error:
            if self._happened():
                self._discard()
                return
            failure = translation(error)
            if not isinstance(failure, StoreBusy):
                self._discard()
            raise failure from error

    def rollback(self) -> None:
        if self._connection is None or not self._connection.in_transaction:
            return
        try:
            self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._discard()

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
        self._many(
            INSERT, (_rows.lasting(new) + _rows.changing(new.run, new.body) for new in created)
        )
        self._many(_UPDATE, ((*_rows.changing(run, body), run.run_id) for run, body, _ in changed))

    def _find(self, query: Query) -> Sequence[Record]:
        match query:
            case ById(run_id):
                return self._records("WHERE run_id = ?", run_id)
            case Remains(run_id):
                return self._records("WHERE run_id = ?", run_id, read=_rows.to_remains)
            case ByRequest(key):
                where = "WHERE owner = ? AND request_method = ? AND request_id = ?"
                return self._records(where, key.owner, key.method, key.request_id)
            case ActiveOnThread(owner, thread_id):
                return self._records(f"{_ACTIVE_ON_THREAD} {_NEWEST_FIRST}", owner, thread_id)
            case NewestActive(owner, thread_id, limit):
                rest = f"{_ACTIVE_ON_THREAD} {_NEWEST_FIRST} LIMIT ?"
                return self._records(rest, owner, thread_id, limit, columns=_BARE)
            case DueLeases(_, _, limit):
                where = f"WHERE {_LEASE_IS_DUE} ORDER BY lease_expires_at LIMIT ?"
                return self._records(where, *_due(query), limit)
            case DueTimeouts(_, _, limit):
                where = f"WHERE {_TIMEOUT_IS_DUE} ORDER BY timeout_at LIMIT ?"
                return self._records(where, *_due(query), limit)
            case Abandoned():
                return self._records(attachments.ABANDONED, *attachments.parameters(query))
            case Orphans(before, limit, lapsed):
                where = f"WHERE status IN (1, 2) AND (lease_expires_at IS NULL OR {_LEASE_IS_DUE})"
                at = _END_OF_TIME if before is None else _rows.microseconds(before)
                rest = f"{where} AND created_at <= ? ORDER BY created_at LIMIT ?"
                return self._records(rest, *(_due(lapsed) if lapsed else _NEVER), at, limit)

    def _count(self, query: Count) -> int:
        if isinstance(query, ReleasedCount):
            return attachments.count(self._open(), query)
        statement = f"SELECT count(*) FROM runs {_ACTIVE_ON_THREAD}"
        rows = self._open().execute(statement, (query.owner, query.thread_id)).fetchall()
        return int(rows[0][0])

    def _records(
        self,
        rest: str,
        *parameters: object,
        columns: str = _RECORD,
        read: Callable[[_rows.Row], Record] = _rows.to_record,
    ) -> Sequence[Record]:
        rows = self._open().execute(f"SELECT {columns} FROM runs {rest}", parameters)
        return [read(row) for row in rows.fetchall()]

    def _run(self, statement: str, *parameters: object) -> None:
        self._open().execute(statement, parameters)

    def _many(self, statement: str, rows: Iterable[_rows.Row]) -> None:
        self._open().executemany(statement, rows)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            with translated():
                yield
        except StoreBusy:
            raise
        except StoreUnavailable:
            self._discard()
            raise

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
            found = self._path.stat().st_ino
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
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(sqlite3.Error):
                connection.close()


def _due(query: DueLeases | DueTimeouts) -> tuple[int, int]:
    return _rows.microseconds(query.at), _rows.length(query.longest)


def _store_id(connection: sqlite3.Connection) -> str:
    rows = connection.execute("SELECT store_id FROM clock").fetchall()
    if not rows:
        # As SQLite itself says of a table that is gone.
        raise sqlite3.DatabaseError("no clock")
    return str(rows[0][0])
