"""The mark of a store: a record beside the file, by which a restored or copied file is recognized.

Revisions of a restored copy are used again, so it must not be served under the id of the store that it was copied from.
The file alone cannot show that it is older than the store was. The mark names the store's id, the number of its commits
and the inode of its file. It is renewed after each commit, and so is never ahead of the file that it belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import sqlite3

#: The first schema version with a mark. Stores of older releases keep their id at their first start.
FIRST_MARKED_VERSION: Final = 4
#: The file format versions in the header (https://sqlite.org/fileformat.html#file_format_version_numbers). A store that
#: was served has the number for write-ahead logging, also after a clean stop; VACUUM INTO leaves the other one.
_FORMAT: Final = slice(18, 20)
_NEVER_SERVED: Final = b"\x01\x01"


class Mark(NamedTuple):
    """The state of a store as of its last commit."""

    store_id: str
    commits: int
    inode: int

    def encode(self) -> bytes:
        """Encode the mark. Its length does not change with the number of commits."""
        return f"{self.store_id} {self.commits:020} {self.inode}\n".encode()


def decode(encoded: bytes) -> Mark | None:
    """The mark, or None if there is no valid one."""
    try:
        store_id, commits, inode = encoded.decode("ascii").split()
        return Mark(store_id, int(commits), int(inode))
    except ValueError:
        return None


def copy_evidence(
    connection: sqlite3.Connection, header: bytes, mark: Mark | None, inode: int
) -> str | None:
    """Why a store is taken for a copy; None if it is not. `header` is the begin of the file before it was opened."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        return None
    if header[_FORMAT] == _NEVER_SERVED:
        return "it was never served"
    if version < FIRST_MARKED_VERSION:
        return None
    if mark is None:
        return "its mark is missing"
    found = connection.execute("SELECT store_id, commits FROM clock").fetchone()
    if found is None:
        return None
    store_id, commits = found
    if mark.store_id != store_id:
        return "its mark is that of another store"
    if mark.inode != inode:
        return "its mark is that of another file"
    if mark.commits > commits:
        return f"it has {commits} commits, and the store had {mark.commits}"
    return None
