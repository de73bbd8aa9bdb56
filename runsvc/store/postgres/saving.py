"""The changes of a transaction as statements: one for each table and kind of change, whatever the number of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runsvc.store import rows
from runsvc.store.postgres import attachments
from runsvc.store.postgres.progress import SAVE_PROGRESS
from runsvc.store.postgres.sql import BLOBS, TEXTS
from runsvc.store.postgres.values import blobs, ints, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runsvc.store.values import Changes, Saved


class Statement(NamedTuple):
    """A statement and its parameters."""

    text: str
    parameters: Sequence[Any] = ()


def _type(column: str) -> str:
    return "text" if column in TEXTS else "bytea" if column in BLOBS else "bigint"


def _encode(column: str) -> Any:
    return texts if column in TEXTS else blobs if column in BLOBS else ints


class _Columns:
    """Columns that are sent as one array each."""

    def __init__(self, *names: str) -> None:
        self._encode = [_encode(name) for name in names]
        arrays = ", ".join(f"%s::{_type(name)}[]" for name in names)
        #: The rows as a source of a statement.
        self.source = f"unnest({arrays}) AS new ({', '.join(names)})"

    def encoded(self, values: Sequence[rows.Row]) -> list[bytes]:
        """The parameters of the source."""
        columns = zip(*values, strict=True)
        return [encode(column) for encode, column in zip(self._encode, columns, strict=True)]


def _insert(table: str, *names: str) -> tuple[str, _Columns]:
    columns = _Columns(*names)
    return f"INSERT INTO {table} ({', '.join(names)}) SELECT * FROM {columns.source}", columns


def _update(table: str, *names: str) -> tuple[str, _Columns]:
    """The last name is run_id, the key."""
    columns = _Columns(*names)
    assigned = ", ".join(f"{name} = new.{name}" for name in names[:-1])
    text = f"UPDATE {table} SET {assigned} FROM {columns.source} WHERE {table}.run_id = new.run_id"
    return text, columns


_NEW_RUNS: Final = _insert("runs", *rows.CONSTANT, *rows.CHANGING)
_NEW_ACTIVITY: Final = _insert("activity", *rows.ACTIVITY)
_CHANGED_RUNS: Final = _update("runs", *rows.CHANGING, "run_id")
_CHANGED_ACTIVITY: Final = _update("activity", *rows.ACTIVITY)
_RESULTS: Final = _update("runs", "result", "run_id")
_LOG: Final = _insert("log", *rows.LOG, "time")
_DELETE: Final = (
    "DELETE FROM runs WHERE run_id = ANY(%s::text[])",
    "DELETE FROM activity WHERE run_id = ANY(%s::text[])",
    "DELETE FROM attachments WHERE run_id = ANY(%s::text[])",
    "UPDATE log SET body = NULL WHERE run_id = ANY(%s::text[])",
)
_UNLIMIT: Final = "DELETE FROM concurrency_limits WHERE prefix = %s"
_LIMIT: Final = "INSERT INTO concurrency_limits VALUES (%s, %s)"
#: From the last removal on: an index has dead entries before it.
_FORGET: Final = "DELETE FROM log WHERE revision > %s AND revision <= %s"


def statements(changes: Changes, forgotten: int) -> Iterator[Statement]:
    """The statements for all changes but the clock's. Entries up to `forgotten` were dropped before."""
    created = [saved for saved in changes.runs if saved.creation is not None]
    changed = [saved for saved in changes.runs if saved.creation is None]
    yield from _many(_NEW_RUNS, map(_whole, created))
    yield from _many(_NEW_ACTIVITY, map(rows.activity_values, created))
    yield from _many(_CHANGED_RUNS, (_changed(each) for each in changed if not each.only_activity))
    yield from _many(_CHANGED_ACTIVITY, map(rows.activity_values, changed))
    yield from _many(
        _RESULTS,
        ((each.result, each.run.run_id) for each in changes.runs if each.result is not None),
    )
    time = rows.microseconds(changes.time)
    yield from _many(_LOG, (rows.from_entry(entry, time) for entry in changes.log))
    if changes.deleted:
        run_ids = texts(changes.deleted)
        yield from (Statement(text, (run_ids,)) for text in _DELETE)
    for change in changes.attachments:
        yield from (Statement(*each) for each in attachments.statements(change))
    for prefix, width in changes.limits:
        yield Statement(_UNLIMIT, (prefix,))
        if width is not None:
            yield Statement(_LIMIT, (prefix, width))
    if changes.progressed:
        yield Statement(SAVE_PROGRESS, (texts(changes.progressed),))
    if changes.forgotten > forgotten:
        yield Statement(_FORGET, (forgotten, changes.forgotten))


def _many(kind: tuple[str, _Columns], values: Iterator[rows.Row]) -> Iterator[Statement]:
    if found := list(values):
        text, columns = kind
        yield Statement(text, columns.encoded(found))


def _whole(saved: Saved) -> rows.Row:
    return rows.constant_values(saved) + rows.changing_values(saved)


def _changed(saved: Saved) -> rows.Row:
    return *rows.changing_values(saved), saved.run.run_id
