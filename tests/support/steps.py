"""What work costs in SQLite, in steps of its virtual machine: a figure that no busy machine changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.store.sqlite import SqliteStore


def steps(store: SqliteStore, work: Callable[[], object]) -> int:
    """How many steps the store's writer takes for this work."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    connection = store.writing._connected()
    connection.set_progress_handler(step, 1)
    try:
        work()
    finally:
        connection.set_progress_handler(None, 0)
    return count
