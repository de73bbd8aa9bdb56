"""The meaning of the database's errors, by SQLSTATE."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psycopg

from runsvc.core.errors import StoreBusy, StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Another transaction is in the way, and nothing was committed: a retry may succeed.
_BUSY: Final = frozenset(
    {
        "55P03",  # lock_timeout
        "40001",  # serialization failure
        "40P01",  # deadlock
    }
)
#: Classes of errors that are caused by a fault of this program, or by a damaged row: a retry does not help.
_FAULTS: Final = ("22", "23")
#: Errors at start that an operator has to mend, and the remedy.
_REFUSED: Final = {
    "28P01": "set the password in PGPASSWORD, or in the file that PGPASSFILE names",
    "28000": "allow this user and this address in pg_hba.conf, or name another user in --db",
    "3D000": "create the database first, or name another one in --db",
    "3F000": "create the schema first, or name another one with ?schema= in --db",
    "42501": "grant the user of --db the right to do this",
    "42P07": "name a schema of its own with ?schema= in --db",
}
#: Texts of errors while connecting.
_SAID: Final = {
    "28P01": re.compile("password authentication failed|no password supplied"),
    "28000": re.compile(r'pg_hba\.conf|FATAL: +role "[^"]*" does not exist'),
    "3D000": re.compile('FATAL: +database "[^"]*" does not exist'),
}


def translation(error: psycopg.Error) -> StoreUnavailable:
    """The StoreUnavailable or StoreBusy for an error."""
    if error.sqlstate in _BUSY:
        return StoreBusy(message(error))
    return StoreUnavailable(message(error))


def is_fault(error: psycopg.Error) -> bool:
    """True for an error of this program or a damaged row, which a retry does not mend."""
    return error.sqlstate is not None and error.sqlstate[:2] in _FAULTS


def message(error: psycopg.Error) -> str:
    """The message of an error in one line. It never has a password, for libpq names none."""
    text = error.diag.message_primary or str(error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")


@contextmanager
def translated() -> Iterator[None]:
    """Turn errors of psycopg into StoreUnavailable or StoreBusy."""
    try:
        yield
    except psycopg.Error as error:
        if is_fault(error):
            raise
        raise translation(error) from error


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """Turn errors at start into StoreRefused if an operator has to mend their cause, else into StoreUnavailable."""
    try:
        yield
    except psycopg.Error as error:
        text = message(error)
        code = error.sqlstate or _code_of(text)
        if code in _REFUSED:
            raise StoreRefused(name, f"{text}: {_REFUSED[code]}") from error
        raise StoreUnavailable(text) from error


def _code_of(text: str) -> str | None:
    """The code of an error while connecting, of which psycopg keeps the text only."""
    return next((code for code, said in _SAID.items() if said.search(text)), None)
