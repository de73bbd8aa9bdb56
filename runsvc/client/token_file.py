"""A bearer token in a file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os


class TokenFile:
    """A token function that reads a file before each call, so that a replaced file takes effect. For any thread."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raise OSError for a file that cannot be read, and ValueError for one that holds no token."""
        self._path = Path(path)
        self._last = self._read()

    def __call__(self) -> str:
        """Return the token in the file: the last one while the file is missing or empty, such as between two moves."""
        with suppress(OSError, ValueError):
            self._last = self._read()
        return self._last

    def _read(self) -> str:
        token = self._path.read_text("utf-8").strip()
        if not token or not token.isprintable() or not token.isascii() or " " in token:
            raise ValueError(f"{self._path} (RUNSVC_TOKEN_FILE) must hold one bearer token")
        return token
