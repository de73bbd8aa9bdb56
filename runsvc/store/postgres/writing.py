"""The writing part of the PostgreSQL store: transactions on one connection of the writer's thread.

Each transaction locks the one row of `clock`, so that one server at a time writes. The row is never updated: the state
of the clock is the newest row of `commits`. A transaction takes three round trips: the clock, the loads, and the
changes with the commit.
"""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar
from uuid import uuid4

import psycopg
from psycopg.pq import TransactionStatus

from runsvc.core.errors import StoreBusy, StoreUnavailable
from runsvc.store import rows
from runsvc.store.postgres.back_off import BackOff
from runsvc.store.postgres.connection import connect_writer
from runsvc.store.postgres.failures import is_fault, message, translation
from runsvc.store.postgres.loading import Loading
from runsvc.store.postgres.queue import PostgresQueue
from runsvc.store.postgres.round_trip import run, run_all
from runsvc.store.postgres.saving import statements
from runsvc.store.postgres.settling import Commit, took_effect
from runsvc.store.postgres.sql import BEGIN, HEAD, LOCK, TIME_LINE, identity
from runsvc.store.values import Now

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from runsvc.store.postgres.connection import Connection, Row
    from runsvc.store.postgres.place import Place
    from runsvc.store.queries import Count, Query
    from runsvc.store.values import Changes, Loaded
    from runsvc.timekeeper import Timekeeper

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

#: Commits that are kept, for servers that lost the connection and ask whether their commit took effect.
KEPT: Final = 50_000

_NOW: Final = f"""
    SELECT number, revision, time, forgotten, EXISTS (SELECT 1 FROM runs WHERE status = 7),
      {TIME_LINE} {HEAD}
"""
_ADVANCE: Final = "INSERT INTO commits VALUES (%s, %s, %s, %s, %s::text::uuid)"
_PRUNE: Final = "DELETE FROM commits WHERE number = %s"
#: With synchronous replication, a COMMIT that is cancelled while it waits for the replica is reported as done.
_NO_TIMEOUT: Final = "SET LOCAL statement_timeout = 0"


def _recovering(
    method: Callable[Concatenate[PostgresWriting, Arguments], Answer],
) -> Callable[Concatenate[PostgresWriting, Arguments], Answer]:
    """Translate the errors of a method. After a failure other than a lock, the next transaction connects anew."""

    @functools.wraps(method)
    def recovering(
        writing: PostgresWriting, /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Answer:
        try:
            return method(writing, *args, **kwargs)
        except psycopg.Error as error:
            if is_fault(error):
                raise
            failure = translation(error)
            writing.fail(failure)
            raise failure from error

    return recovering


class _Head(NamedTuple):
    """The clock at the start of the open transaction."""

    number: int
    revision: int
    time: int
    #: Log entries up to this revision were removed.
    forgotten: int
    has_queued: bool
    time_line: str


class PostgresWriting:
    """Implements WritingStore. It connects anew after any failure other than a lock, and so recovers by itself."""

    def __init__(self, place: Place, timekeeper: Timekeeper) -> None:
        self._place = place
        self._timekeeper = timekeeper
        self._connection: Connection | None = None
        self._is_open = False
        self._store_id = ""
        #: Marks the commits of this server.
        self._server = str(uuid4())
        self._head: _Head | None = None
        self._changes: Changes | None = None
        self._back_off = BackOff()
        self.queue = PostgresQueue(self._read)

    def open(self, connection: Connection, store_id: str) -> None:
        """Use a connection to a store whose schema is current."""
        self._connection, self._store_id = connection, store_id
        self._is_open = True

    def close(self) -> None:
        """Disconnect."""
        self._is_open = False
        self._disconnect()

    @_recovering
    def begin(self) -> Now:
        self.rollback()
        idle = self._connection
        try:
            _, clock, now = self._lock()
        except psycopg.Error:
            if idle is None or not idle.broken:
                self.rollback()
                raise
            # It was lost while it was idle, for example in a restart of the database.
            self._disconnect()
            _, clock, now = self._lock()
        if not (clock and now) or clock[0][0] != self._store_id:
            self._disconnect()
            raise StoreUnavailable("the database holds another store now: restart the server")
        head = self._head = _Head._make(now[0])
        time = rows.from_microseconds(self._timekeeper.now(not_before=head.time))
        store_id = identity(self._store_id, head.time_line)
        return Now(time, head.revision, head.number, head.has_queued, store_id)

    @_recovering
    def load(self, queries: Collection[Query | Count]) -> Loaded:
        return Loading(self._connected()).load(queries)

    @_recovering
    def _read(self, text: str, parameters: Sequence[Any]) -> list[Row]:
        return run(self._connected(), text, parameters)

    def save(self, changes: Changes) -> None:
        # Sent with the commit.
        self._connected()
        self._changes = changes

    def commit(self) -> None:
        connection, changes, head = self._connected(), self._changes, self._head
        if changes is None or head is None:
            self.rollback()
            return
        self._changes = None
        staged = [*statements(changes, head.forgotten), *self._end(changes, head)]
        try:
            run_all(connection, staged)
        except psycopg.Error as error:
            self._settle(connection, Commit(head.number + 1, self._server), error)

    def fail(self, failure: StoreUnavailable) -> None:
        """Close the connection, unless the clock is merely locked. The next transaction connects anew."""
        if not isinstance(failure, StoreBusy):
            self._disconnect()

    def rollback(self) -> None:
        self._changes = None
        connection = self._connection
        if connection is None or connection.info.transaction_status is TransactionStatus.IDLE:
            return
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            self._disconnect()

    def _lock(self) -> list[list[Row]]:
        """Open a transaction and lock the clock: no rows, the clock, and the newest commit."""
        return run_all(self._usable_connection(), [(BEGIN, ()), (LOCK, ()), (_NOW, ())])

    def _end(self, changes: Changes, head: _Head) -> Sequence[tuple[str, Sequence[Any]]]:
        """The statements that advance the clock and commit."""
        number, time = head.number + 1, rows.microseconds(changes.time)
        forgotten = max(head.forgotten, min(changes.forgotten, changes.revision))
        return (
            (_ADVANCE, (number, changes.revision, time, forgotten, self._server)),
            (_PRUNE, (number - KEPT,)),
            (_NO_TIMEOUT, ()),
            ("COMMIT", ()),
        )

    def _settle(self, connection: Connection, commit: Commit, error: psycopg.Error) -> None:
        """Raise unless a commit took effect although it failed: StoreUnavailable, or OutcomeUnknown."""
        if not connection.broken:
            # The database has answered, so the failed statement came before COMMIT.
            self.rollback()
            if is_fault(error):
                raise error
        else:
            self._disconnect()
            if took_effect(self._place, self._store_id, commit):
                return
        failure = translation(error)
        self.fail(failure)
        raise failure from error

    def _connected(self) -> Connection:
        if self._connection is None:
            raise StoreUnavailable("the connection was lost" if self._is_open else "it is closed")
        return self._connection

    def _usable_connection(self) -> Connection:
        """The connection, made anew if a failure closed it."""
        if not self._is_open:
            raise StoreUnavailable("it is closed")
        if self._connection is None:
            self._back_off.check()
            try:
                self._connection = connect_writer(self._place)
            except psycopg.Error as error:
                self._back_off.failed(message(error))
                raise
            self._back_off.succeeded()
        return self._connection

    def _disconnect(self) -> None:
        self._changes = None
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(psycopg.Error):
                connection.close()
