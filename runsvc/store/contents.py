"""The whole content of a store as rows, by which one engine hands it to another."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from runsvc.core.errors import StoreRefused
from runsvc.store import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    #: Called with the name of a table, the number of its rows that were handled, and of all its rows.
    Progress: TypeAlias = Callable[[str, int, int], None]


class Table(NamedTuple):
    """A table that every engine has with the same columns."""

    name: str
    #: The first one is the key. The rows are ordered by it.
    columns: tuple[str, ...]


#: All tables with a row for each thing. The servers and their progress are no content.
TABLES: Final = (
    Table("runs", (*rows.CONSTANT, *rows.CHANGING, "result")),
    Table("activity", ("run_id", *rows.ACTIVITY[:-1])),
    Table("log", (*rows.LOG, "time")),
    Table("attachments", ("attachment_id", "run_id", "server", "expires_at")),
    Table("concurrency_limits", ("prefix", "width")),
)


class Clock(NamedTuple):
    """The state of the clock."""

    #: The revision of the newest change.
    revision: int
    #: Microseconds since 1970, UTC.
    time: int
    #: Log entries up to this revision were removed.
    forgotten: int


class Contents(Protocol):
    """A store that nothing changes while its content is read."""

    def clock(self) -> Clock: ...

    def count(self, table: Table) -> int: ...

    def rows(self, table: Table) -> Iterator[rows.Row]:
        """The rows, by the order of their keys. Texts are ordered by their bytes."""
        ...


class Digest:
    """The number and a checksum of rows, for the comparison of two tables."""

    def __init__(self) -> None:
        self.count = 0
        self._hash = blake2b(digest_size=16)

    def reading(self, found: Iterable[rows.Row]) -> Iterator[rows.Row]:
        """The same rows, which are added one by one."""
        for row in found:
            self.count += 1
            self._hash.update(repr(row).encode())
            yield row

    def read(self, found: Iterable[rows.Row]) -> None:
        """Add all rows."""
        for _ in self.reading(found):
            pass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Digest) and self._state() == other._state()

    __hash__ = None  # type: ignore[assignment]

    def _state(self) -> tuple[int, bytes]:
        return self.count, self._hash.digest()


class Copied(NamedTuple):
    """The result of a copy."""

    runs: int
    changes: int
    revision: int


def check_same(name: str, table: Table, sent: Digest, stored: Digest) -> None:
    """StoreRefused unless the rows of a table arrived as they were sent."""
    if sent != stored:
        raise StoreRefused(
            name,
            f"the check of the copy failed: the table {table.name} has other rows than the source "
            f"({stored.count} of {sent.count}). Nothing was copied: report this as a fault of runsvc",
        )
