"""A bearer token in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grpc import StatusCode

from runsvc.client.error import RunError

if TYPE_CHECKING:
    import os


class TokenFile:
    """A token function that reads a file before each call, so that a replaced file takes effect. For any thread."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Create it. The file may be missing until the first call."""
        self._path = Path(path)
        self._last: str | None = None

    def __call__(self) -> str:
        """Return the token in the file: the last one while the file is missing or empty, such as between two moves.

        Raise RunError with UNAUTHENTICATED if no token has been read yet.
        """
        try:
            self._last = self._read()
        except (OSError, ValueError) as failure:
            if self._last is None:
                raise RunError(
                    StatusCode.UNAUTHENTICATED, message=self._cause(failure)
                ) from failure
        return self._last

    def _cause(self, failure: OSError | ValueError) -> str:
        if isinstance(failure, OSError):
            return f"Cannot read {self._path}: {failure.strerror}"
        return f"There is no token: {failure}"

    def _read(self) -> str:
        token = self._path.read_text("utf-8").strip()
        if not token or not token.isprintable() or not token.isascii() or " " in token:
            raise ValueError(f"the token file {self._path} must hold one bearer token")
        return token
