"""The meaning of the database's errors, by SQLSTATE."""

from __future__ import annotations

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
        code = error.sqlstate or next((code for code in _REFUSED if _says(text, code)), None)
        if code in _REFUSED:
            raise StoreRefused(name, f"{text}: {_REFUSED[code]}") from error
        raise StoreUnavailable(text) from error


#: psycopg loses the SQLSTATE of an error while it connects.
_SAID: Final = {"28P01": "password", "28000": "pg_hba.conf", "3D000": "database"}


def _says(text: str, code: str) -> bool:
    word = _SAID.get(code)
    if word is None or ("FATAL" not in text and "password" not in text):
        return False
    return word in text if code != "3D000" else "does not exist" in text and "database" in text
