"""The rows of a transaction: how its changes are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runsvc.store import rows
from runsvc.store.sqlite import attachments
from runsvc.store.sqlite.cache import CachedRun

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from runsvc.store.values import Changes, Saved

INSERT: Final = (
    f"INSERT INTO runs ({', '.join((*rows.CONSTANT, *rows.CHANGING))}) "
    f"VALUES ({', '.join('?' * len((*rows.CONSTANT, *rows.CHANGING)))})"
)
INSERT_ACTIVITY: Final = (
    f"INSERT INTO activity ({', '.join(rows.ACTIVITY)}) "
    f"VALUES ({', '.join('?' * len(rows.ACTIVITY))})"
)
#: By the number of columns that they write.
_UPDATES: Final = tuple(
    f"UPDATE runs SET {', '.join(f'{column} = ?' for column in rows.CHANGING[:number])}"
    " WHERE run_id = ?"
    for number in range(len(rows.CHANGING) + 1)
)
_SET_RESULT: Final = "UPDATE runs SET result = ? WHERE run_id = ?"
_UPDATE_ACTIVITY: Final = (
    f"UPDATE activity SET {', '.join(f'{column} = ?' for column in rows.ACTIVITY[:-1])} "
    f"WHERE {rows.ACTIVITY[-1]} = ?"
)
APPEND: Final = (
    f"INSERT INTO log ({', '.join(rows.LOG)}, time) VALUES ({', '.join('?' * len(rows.LOG))}, ?)"
)


def save(connection: sqlite3.Connection, changes: Changes, commits: int) -> None:
    """Write the changes of the open transaction, which is the store's commit number `commits`."""
    time = rows.microseconds(changes.time)
    _save_runs(connection, changes.runs)
    connection.executemany(APPEND, (rows.from_entry(entry, time) for entry in changes.log))
    for run_id in changes.deleted:
        connection.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
        connection.execute("UPDATE log SET body = NULL WHERE run_id = ?", (run_id,))
    for change in changes.attachments:
        attachments.save(connection, change)
    for prefix, width in changes.limits:
        connection.execute("DELETE FROM concurrency_limits WHERE prefix = ?", (prefix,))
        if width is not None:
            connection.execute("INSERT INTO concurrency_limits VALUES (?, ?)", (prefix, width))
    if changes.forgotten:
        connection.execute("DELETE FROM log WHERE revision <= ?", (changes.forgotten,))
    connection.execute(
        "UPDATE clock SET revision = ?, time = ?, commits = ?", (changes.revision, time, commits)
    )


def committed(changes: Changes, before: Mapping[str, CachedRun]) -> list[CachedRun]:
    """The cache entries of committed runs. A changed run that was not cached before lacks columns, and is left out."""
    found = []
    for run, encoded, creation, _, result, _ in changes.runs:
        if run.run_id in changes.deleted:
            continue
        if creation is not None:
            spec_hash = creation.request.spec_hash if creation.request else None
            record = rows.record_of(run, encoded, spec_hash)
            found.append(CachedRun(record, creation.kwargs, run, result))
        elif (known := before.get(run.run_id)) is not None:
            record = rows.record_of(run, encoded, known.record.spec_hash)
            result = known.result if result is None else result
            found.append(CachedRun(record, known.kwargs, run, result))
    return found


def _save_runs(connection: sqlite3.Connection, runs: Sequence[Saved]) -> None:
    created = [saved for saved in runs if saved.creation is not None]
    changed = [saved for saved in runs if saved.creation is None]
    if created:
        connection.executemany(
            INSERT, (rows.constant_values(new) + rows.changing_values(new) for new in created)
        )
        connection.executemany(INSERT_ACTIVITY, map(rows.activity_values, created))
    if changed:
        _update_runs(connection, [saved for saved in changed if not saved.only_activity])
        connection.executemany(_UPDATE_ACTIVITY, map(rows.activity_values, changed))
    for saved in runs:
        if saved.result is not None:
            connection.execute(_SET_RESULT, (saved.result, saved.run.run_id))


def _update_runs(connection: sqlite3.Connection, changed: Sequence[Saved]) -> None:
    by_columns: dict[int, list[rows.Row]] = {}
    for saved in changed:
        number = rows.changed_columns(saved)
        values = (*rows.changing_values(saved)[:number], saved.run.run_id)
        by_columns.setdefault(number, []).append(values)
    for number, values_of_runs in by_columns.items():
        connection.executemany(_UPDATES[number], values_of_runs)
