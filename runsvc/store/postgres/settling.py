"""Whether a commit took effect, after the connection was lost while its answer was awaited."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

import psycopg

from runsvc.core.errors import OutcomeUnknown
from runsvc.store.postgres.connection import connect_writer
from runsvc.store.postgres.round_trip import run_all
from runsvc.store.postgres.sql import BEGIN, LOCK

if TYPE_CHECKING:
    from runsvc.store.postgres.connection import Connection
    from runsvc.store.postgres.place import Place

#: Seconds after which the outcome counts as unknown. Longer than a transaction may be idle: one whose COMMIT did not
#: arrive holds the clock that long.
SETTLE: Final = 12.0
#: Seconds between two attempts.
_PAUSE: Final = 0.2

_STATE: Final = """
    SELECT max(number), min(number), (SELECT server::text FROM commits WHERE number = %s) FROM commits
"""


class Commit(NamedTuple):
    """The row of `commits` that a commit adds."""

    number: int
    server: str


def took_effect(place: Place, store_id: str, commit: Commit) -> bool:
    """True if the commit is in the database, False if it never will be. Raise OutcomeUnknown.

    The transaction of the commit held the clock. Once the clock can be locked, that transaction has ended.
    """
    end = time.monotonic() + SETTLE
    while True:
        try:
            with connect_writer(place) as connection:
                return _find(connection, store_id, commit)
        except psycopg.Error as error:
            if time.monotonic() >= end:
                raise OutcomeUnknown from error
        time.sleep(_PAUSE)


def _find(connection: Connection, store_id: str, commit: Commit) -> bool:
    begin = [(BEGIN, ()), (LOCK, ()), (_STATE, (commit.number,)), ("ROLLBACK", ())]
    _, clock, state, _ = run_all(connection, begin)
    newest, oldest, server = state[0]
    if not clock or clock[0][0] != store_id or newest is None or oldest > commit.number:
        raise OutcomeUnknown
    # A replica that was promoted without this commit may have given its number to another.
    return bool(server == commit.server)
