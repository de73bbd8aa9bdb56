"""A value that is made from files, and made again when they change."""

from __future__ import annotations

import asyncio
import stat
from typing import TYPE_CHECKING, Generic, TypeVar

from runsvc.core.errors import FileRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

T = TypeVar("T")


class Reloaded(Generic[T]):
    """The value of the last good set of files. Lives on the event loop; threads may read `value`.

    Contents are compared, not times: a replaced link, a copy with an old time and a quick second write all count.
    """

    def __init__(self, paths: Sequence[Path], make: Callable[[Sequence[bytes]], T]) -> None:
        """Read the files. `make` returns their value, and raises FileRefused for bad ones, as this does."""
        self._paths = tuple(paths)
        self._make = make
        self._good = self._read()
        #: The bad contents of the last look, and their error.
        self._bad: tuple[tuple[bytes, ...], FileRefused] | None = None
        self.value = make(self._good)

    async def reload(self) -> bool:
        """Read the files in a thread. Return whether the value has changed. Keep it and raise FileRefused for bad ones.

        Files that belong together are replaced one after the other, so new contents are bad only at the second look.
        """
        contents = await asyncio.to_thread(self._read)
        if contents == self._good:
            self._bad = None
            return False
        if self._bad and self._bad[0] == contents:
            raise self._bad[1].again()
        try:
            self.value = await asyncio.to_thread(self._make, contents)
        except FileRefused as refused:
            self._bad = contents, refused
            return False
        self._good, self._bad = contents, None
        return True

    def _read(self) -> tuple[bytes, ...]:
        return tuple(map(read, self._paths))


def read(path: Path) -> bytes:
    """The content of a file. FileRefused if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileRefused(str(path), (error.strerror or str(error)).lower()) from error


def mode_of(path: Path) -> int:
    """The permission bits of a file; 0 if it has gone."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
