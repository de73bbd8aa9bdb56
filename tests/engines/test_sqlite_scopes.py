"""Scopes in SQLite: each read has its index, and a foreign run costs the reads of an unknown id."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from runsvc.store.queries import ById
from runsvc.store.values import Topic, TopicKind

if TYPE_CHECKING:
    from pathlib import Path

    from runsvc.store.sqlite import SqliteStore
    from tests.conformance.driver import Driver

TOPICS = [
    (Topic(TopicKind.RUN, None, "r"), "log_by_run"),
    (Topic(TopicKind.RUN, "o", "r"), "log_by_run"),
    (Topic(TopicKind.THREAD, "o", "t"), "log_by_thread"),
    (Topic(TopicKind.ASSISTANT, None, "a"), "log_by_assistant"),
    (Topic(TopicKind.ASSISTANT, "o", "a"), "log_by_owner"),
    (Topic(TopicKind.ALL, None), ""),
    (Topic(TopicKind.ALL, "o"), "log_by_owner"),
]


class Statements:
    """The statements of a connection, with their parameters filled in."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def attach(self, connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(self.all.append)

    def take(self) -> list[str]:
        taken, self.all[:] = list(self.all), []
        return taken


def plan(path: Path, statement: str) -> str:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
    return "; ".join(row[3] for row in rows)


@pytest.mark.parametrize(("topic", "index"), TOPICS)
async def test_the_log_of_each_topic_is_read_by_its_index(
    store: SqliteStore, path: Path, topic: Topic, index: str
) -> None:
    statements = Statements()
    connection: Any = store.reading._log
    connection._connection.set_trace_callback(statements.all.append)
    await store.reading.log_since(topic, 0, 9)
    (statement,) = statements.take()
    found = plan(path, statement)
    assert "SCAN log" not in found
    # Without an index of its own, the log is read in the order of its key.
    assert (f"INDEX {index} (" if index else "SEARCH log USING INTEGER PRIMARY KEY") in found
    if topic.kind is not TopicKind.RUN or topic.scope is not None:
        # Only the few entries of one run may have to be sorted.
        assert found.count("TEMP B-TREE") <= 1


async def test_a_foreign_run_takes_the_statements_of_an_unknown_one(
    store: SqliteStore, driver: Driver
) -> None:
    statements = Statements()
    statements.attach(store.reading._inline)  # type: ignore[arg-type]
    foreign, unknown = driver.create(owner="yours").run_id, str(uuid4())
    for read in (store.reading.get, store.reading.get_without_kwargs):
        for _ in range(2):
            assert await read(foreign, "mine") is None
            of_foreign = [each.replace(foreign, "?") for each in statements.take()]
            assert await read(unknown, "mine") is None
            of_unknown = [each.replace(unknown, "?") for each in statements.take()]
            assert of_foreign == of_unknown != []
    assert (await store.reading.get(foreign, "yours")) is not None


async def test_a_change_of_a_foreign_run_takes_the_statements_of_an_unknown_one(
    store: SqliteStore, driver: Driver
) -> None:
    statements = Statements()
    statements.attach(store.writing._connection)  # type: ignore[arg-type]
    foreign, unknown = driver.create(owner="yours").run_id, str(uuid4())
    found = []
    for run_id in (foreign, unknown):
        statements.take()
        assert driver.load(ById(run_id, "mine")) == []
        found.append([each.replace(run_id, "?") for each in statements.take()])
    assert found[0] == found[1]
    assert len([each for each in found[0] if each.startswith("SELECT")]) == 1
