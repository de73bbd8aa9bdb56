"""The files of a connection with TLS: whether they have changed, and whether they can be used."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from runsvc.client.settings import Certificates

#: What changes when a file is replaced or written.
_Version: TypeAlias = tuple[int, int, int]


class TlsFiles:
    """The trusted certificates, the client's certificate and its key, of which some are files."""

    def __init__(
        self, ca: Certificates | None, cert: Certificates | None, key: Certificates | None
    ) -> None:
        self._ca, self._pair = _path(ca), (_path(cert), _path(key))
        self._paths = [path for path in (self._ca, *self._pair) if path is not None]
        self._version = self._present()

    @property
    def has_files(self) -> bool:
        """Whether there is a file. Contents do not change."""
        return bool(self._paths)

    def have_changed(self) -> bool:
        """Return whether the files differ from those of the last call that returned True, and can be used."""
        present = self._present()
        if present is None or present == self._version or not self._are_valid():
            return False
        self._version = present
        return True

    def _present(self) -> list[_Version] | None:
        """Return the version of each file. None while one is missing, such as between two moves."""
        try:
            return [_version_of(path) for path in self._paths]
        except OSError:
            return None

    def _are_valid(self) -> bool:
        """Return whether the files hold certificates, and a key that belongs to them: grpc does not say so."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        cert, key = self._pair
        try:
            if self._ca is not None:
                context.load_verify_locations(self._ca)
            if cert is not None and key is not None:
                context.load_cert_chain(cert, key)
        except (OSError, ValueError):
            return False
        return True


def _path(given: Certificates | None) -> str | None:
    return None if given is None or isinstance(given, bytes) else os.fspath(given)


def _version_of(path: str) -> _Version:
    found = os.stat(path)  # noqa: PTH116 - called before every call, and a Path costs more.
    return found.st_mtime_ns, found.st_size, found.st_ino
