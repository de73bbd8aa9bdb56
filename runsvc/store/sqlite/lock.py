"""The locks that keep a second server from the store: one on a file beside it, and one on the store's file itself.

The file beside it guards the name, also on systems where the store's file cannot be locked. The lock on the file itself
guards it under all its names: a bind mount or a hard link has another name, another lock file and another `-wal`.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runsvc.core.errors import StoreRefused, StoreUnavailable
from runsvc.store.sqlite.mark import decode

if sys.platform == "win32":  # pragma: no cover
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.store.sqlite.mark import Mark

_TAKEN: Final = "another server uses it: stop that server, or name another file with --db"
_TAKEN_ELSEWHERE: Final = (
    "another server uses it under another name, or another program has locked it: "
    "stop that server, or name another file with --db"
)
_CANNOT_CREATE: Final = "its lock, a file beside it, cannot be created: name another file with --db"
_MOUNTED: Final = (
    "it is a mount point of its own, so its -wal would be lost with the mount: "
    "mount its folder instead of the file"
)
#: For the owner only: runs hold prompts.
_MODE: Final = 0o600
_HEADER_SIZE: Final = 100
#: More than any mark has.
_MARK_SIZE: Final = 200


class ServerLock:
    """Both locks. The operating system releases them when the process ends.

    The file beside the store also has the store's mark (see mark.py).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock_file = f"{path}.lock"
        self._beside: int | None = None
        #: Open from before SQLite opens the file until it has closed it: a close of any descriptor of the file would
        #: drop SQLite's own locks.
        self._file: int | None = None
        self._identity: int | None = None
        self._mark = b""

    def take(self) -> None:
        """Take both locks; create the files if needed. StoreRefused if another server has a lock."""
        self._take_beside()
        try:
            self._take_file()
        except BaseException:
            self.release()
            raise

    def check(self) -> None:
        """Take the lock again if its file was removed. StoreUnavailable if another server took it first."""
        # Once another server has taken it, the existing file is not this server's.
        if self._beside is not None and self._inode() == self._identity:
            return
        self._release_beside()
        try:
            self._take_beside()
        except StoreRefused as refused:
            raise StoreUnavailable(refused.detail) from refused
        self._put_mark()

    def header(self) -> bytes:
        """The begin of the store's file."""
        assert self._file is not None
        os.lseek(self._file, 0, os.SEEK_SET)
        return os.read(self._file, _HEADER_SIZE)

    def inode(self) -> int:
        """The inode of the store's file."""
        assert self._file is not None
        return os.fstat(self._file).st_ino

    def mark(self) -> Mark | None:
        """The mark that the last server left, or None."""
        assert self._beside is not None
        os.lseek(self._beside, 0, os.SEEK_SET)
        return decode(os.read(self._beside, _MARK_SIZE))

    def renew_mark(self, mark: Mark) -> None:
        """Write a mark. If that fails, the next start may take the store for a copy, which is safe."""
        self._mark = mark.encode()
        self._put_mark()

    def flush_mark(self) -> None:
        """Make the mark survive a loss of power."""
        if self._beside is not None:
            with suppress(OSError):
                os.fsync(self._beside)

    def release(self) -> None:
        """Release the locks, after the store was closed."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._release_beside()

    def _take_beside(self) -> None:
        try:
            self._beside = _open_locked(self._lock_file, _flock)
            self._identity = self._inode()
        except FileNotFoundError:
            raise StoreRefused(str(self._path), _CANNOT_CREATE) from None
        except OSError as error:
            raise StoreRefused(
                str(self._path),
                f"its lock cannot be taken ({error}): remove {self._lock_file}, "
                "or name another file with --db",
            ) from error
        if self._beside is None:
            raise StoreRefused(str(self._path), _TAKEN)

    def _take_file(self) -> None:
        try:
            self._file = _open_locked(str(self._path), _flock if _LOCKS_FILE else lambda _: True)
        except OSError as error:
            raise StoreRefused(
                str(self._path),
                f"it cannot be locked ({error}): name a file on a local disk with --db",
            ) from error
        if self._file is None:
            raise StoreRefused(str(self._path), _TAKEN_ELSEWHERE)
        if _is_mount_point(self._file, self._path.parent):
            raise StoreRefused(str(self._path), _MOUNTED)

    def _release_beside(self) -> None:
        if self._beside is not None:
            os.close(self._beside)
            self._beside = None

    def _put_mark(self) -> None:
        if self._beside is not None:
            with suppress(OSError):
                _write(self._beside, self._mark)

    def _inode(self) -> int | None:
        try:
            # Runs before every transaction: a Path takes four times as long.
            return os.stat(self._lock_file).st_ino  # noqa: PTH116
        except FileNotFoundError:
            return None


#: On other systems flock and SQLite's locks exclude each other.
_LOCKS_FILE: Final = sys.platform == "linux"


def _open_locked(path: str, lock: Callable[[int], bool]) -> int | None:
    """Open and lock a file; create it if needed. None if it is locked already."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _MODE)
    locked = False
    try:
        locked = lock(descriptor)
    finally:
        if not locked:
            os.close(descriptor)
    return descriptor if locked else None


def _write(descriptor: int, content: bytes) -> None:
    """Write to the begin of a file."""
    if sys.platform == "win32":  # pragma: no cover
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, content)
    else:
        os.pwrite(descriptor, content, 0)


def _flock(descriptor: int) -> bool:
    """Lock an open file without waiting. False if it is locked already."""
    try:
        if sys.platform == "win32":  # pragma: no cover
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_mount_point(descriptor: int, folder: Path) -> bool:
    """True if the file is mounted by itself. Its device does not show that: a bind mount keeps it."""
    if sys.platform != "linux":  # pragma: no cover
        return False
    parent = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        return _mount_id(descriptor) != _mount_id(parent)
    finally:
        os.close(parent)


def _mount_id(descriptor: int) -> str:
    """The id of the mount that an open file belongs to; empty without /proc."""
    try:
        info = Path(f"/proc/self/fdinfo/{descriptor}").read_text("ascii")
    except FileNotFoundError:  # pragma: no cover
        return ""
    return next(line for line in info.splitlines() if line.startswith("mnt_id:"))
