"""One server per file: two would each believe to be the only writer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from runsvc.core.errors import StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

_TAKEN: Final = "another server uses it: stop that one, or name another file with --db"
_UNMAKEABLE: Final = "its lock, a file beside it, cannot be made: name another file with --db"


class ServerLock:
    """A lock in a file beside the store's; it goes with the process that holds it, however that ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Taken on the loop's thread, taken anew on the writer's.
        self._lock = FileLock(f"{path}.lock", timeout=0, thread_local=False)
        self._identity: int | None = None

    def take(self) -> None:
        """StoreRefused when another server has it."""
        try:
            self._lock.acquire()
        except Timeout:
            detail = _UNMAKEABLE if self._found() is None else _TAKEN
            raise StoreRefused(str(self._path), detail) from None
        except OSError as error:
            raise StoreRefused(str(self._path), f"its lock cannot be taken ({error})") from error
        self._identity = self._found()

    def check(self) -> None:
        """Take it anew when somebody removed its file. StoreUnavailable when another server was quicker."""
        # Once another server was quicker, whatever is there is not ours.
        if self._lock.is_locked and self._found() == self._identity:
            return
        self._lock.release(force=True)
        try:
            self.take()
        except StoreRefused as refused:
            raise StoreUnavailable(refused.detail) from refused

    def release(self) -> None:
        """Let another server have it."""
        self._lock.release()

    def _found(self) -> int | None:
        try:
            # Asked before every transaction: a Path takes four times as long.
            return os.stat(self._lock.lock_file).st_ino  # noqa: PTH116
        except FileNotFoundError:
            return None
