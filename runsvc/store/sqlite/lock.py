"""The lock that keeps a second server from writing the same file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from runsvc.core.errors import StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

_TAKEN: Final = "another server uses it: stop that server, or name another file with --db"
_CANNOT_CREATE: Final = "its lock, a file beside it, cannot be created: name another file with --db"


class ServerLock:
    """A lock on a file beside the store. The operating system releases it when the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Taken on the loop's thread, and taken again on the writer's.
        self._lock = FileLock(f"{path}.lock", timeout=0, thread_local=False)
        self._identity: int | None = None

    def take(self) -> None:
        """Take the lock. StoreRefused if another server has it."""
        try:
            self._lock.acquire()
        except Timeout:
            detail = _CANNOT_CREATE if self._inode() is None else _TAKEN
            raise StoreRefused(str(self._path), detail) from None
        except OSError as error:
            raise StoreRefused(
                str(self._path),
                f"its lock cannot be taken ({error}): remove {self._lock.lock_file}, "
                "or name another file with --db",
            ) from error
        self._identity = self._inode()

    def check(self) -> None:
        """Take the lock again if its file was removed. StoreUnavailable if another server took it first."""
        # Once another server has taken it, the existing file is not this server's.
        if self._lock.is_locked and self._inode() == self._identity:
            return
        self._lock.release(force=True)
        try:
            self.take()
        except StoreRefused as refused:
            raise StoreUnavailable(refused.detail) from refused

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()

    def _inode(self) -> int | None:
        try:
            # Runs before every transaction: a Path takes four times as long.
            return os.stat(self._lock.lock_file).st_ino  # noqa: PTH116
        except FileNotFoundError:
            return None
