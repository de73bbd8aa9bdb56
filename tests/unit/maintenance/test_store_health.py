"""Whether the store takes writes: after a moment of failures it does not, after a change it does."""

from __future__ import annotations

from typing import Any

import pytest

from runsvc.commit.group_commit import Committed
from runsvc.maintenance.store_health import MOMENT, QUIET, StoreHealth

FAILED = Committed([], failed=True)
CHANGE: Any = Committed([], entries=[object()])  # type: ignore[list-item]
#: A beat that had nothing to change.
BEAT = Committed([])


class Server:
    """A server with a clock that can be set."""

    def __init__(self) -> None:
        self.time = 0.0
        self.reports: list[bool] = []
        self.health = StoreHealth(lambda: self.time)
        self.health.report = self.reports.append

    def commit(self, *results: Committed, every: float = 0.25) -> list[bool]:
        """Commit batches, and return the reports."""
        self.reports.clear()
        for result in results:
            self.time += every
            self.health.note(result)
        return list(self.reports)


@pytest.fixture
def server() -> Server:
    return Server()


def test_a_moment_of_failures_is_reported_once(server: Server) -> None:
    server.commit(FAILED)
    assert server.commit(FAILED, every=MOMENT * 0.99) == []
    assert server.commit(FAILED, FAILED, every=MOMENT) == [False]


def test_failures_with_changes_between_them_are_not_reported(server: Server) -> None:
    assert server.commit(*(FAILED, CHANGE) * 20) == []


def test_beats_between_failures_do_not_hide_them(server: Server) -> None:
    assert server.commit(*(FAILED, BEAT) * 20) == [False]


def test_a_change_shows_that_the_store_works(server: Server) -> None:
    server.commit(FAILED, FAILED, every=MOMENT)
    assert server.commit(CHANGE, CHANGE) == [True]


def test_a_time_without_failures_shows_that_the_store_works(server: Server) -> None:
    server.commit(FAILED, FAILED, every=MOMENT)
    assert server.commit(BEAT, every=QUIET * 0.99) == []
    assert server.commit(BEAT, BEAT, every=QUIET) == [True]


def test_after_a_recovery_another_moment_of_failures_is_needed(server: Server) -> None:
    server.commit(FAILED, FAILED, every=MOMENT)
    server.commit(CHANGE)
    assert server.commit(FAILED, every=MOMENT) == []
    assert server.commit(FAILED, every=MOMENT) == [False]
