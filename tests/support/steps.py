"""The cost of work in SQLite, in steps of its virtual machine, which do not depend on the load of the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.store.sqlite import SqliteStore


def steps(store: SqliteStore, work: Callable[[], object]) -> int:
    """The number of steps that the store's writing connection takes for this work."""
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
