"""Several statements in one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.store.postgres.connection import Connection, Row

    Statements: TypeAlias = Sequence[tuple[str, Sequence[Any]]]


def run_all(connection: Connection, statements: Statements) -> list[list[Row]]:
    """The rows of each statement. After one that fails, no further one is executed."""
    if len(statements) == 1:
        return [run(connection, *statements[0])]
    cursors = []
    with connection.pipeline() as pipeline:
        # psycopg ends a pipeline with a Flush behind the Sync, and PostgreSQL disarms the limit of an idle transaction
        # when it gets one. A server that stops would then keep the clock.
        pipeline._exit_gen = pipeline._sync_gen  # type: ignore[method-assign]  # noqa: SLF001
        for text, parameters in statements:
            cursors.append(cursor := connection.cursor(binary=True))
            cursor.execute(text.encode(), parameters)
    return [[] if cursor.description is None else cursor.fetchall() for cursor in cursors]


def run(connection: Connection, text: str, parameters: Sequence[Any] = ()) -> list[Row]:
    """The rows of a statement."""
    cursor = connection.cursor(binary=True)
    cursor.execute(text.encode(), parameters)
    return [] if cursor.description is None else cursor.fetchall()
