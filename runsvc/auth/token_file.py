"""Bearer tokens from a file of their SHA-256 hashes. The file holds no token, so reading it lets no one in."""

from __future__ import annotations

import logging
import re
import secrets
from functools import partial
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from runsvc.auth import lines
from runsvc.core.errors import FileRefused
from runsvc.fifo_cache import FifoCache
from runsvc.reloaded import Reloaded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runsvc.auth.principal import Principal

#: What tokens of `runsvc token new` begin with, so that programs that search for leaked secrets find them.
PREFIX: Final = "runsvc_"
logger = logging.getLogger(__name__)

VIA: Final = "token"
_HASH: Final = re.compile(r"sha256:([0-9a-f]{64})")
#: Tokens whose principal is remembered.
_CAPACITY: Final = 10_000

Entries = tuple[tuple[bytes, "Principal"], ...]


class TokenFile:
    """The tokens of a file, which may change. Lives on the event loop."""

    def __init__(self, path: Path) -> None:
        """Read the file. FileRefused."""
        self._path = path
        self._file = Reloaded[Entries]([path], partial(_entries, path))
        self._known = FifoCache[bytes, "Principal"](_CAPACITY)

    def find(self, _token: str, digest: bytes) -> Principal | None:
        """The principal of a token; None for an unknown one.

        A token that is seen for the first time is compared with every hash, in a time that tells nothing about them.
        """
        principal = self._known.get(digest)
        if principal is None:
            for known, each in self._file.value:
                # No early exit.
                if compare_digest(known, digest):
                    principal = each
            if principal is not None:
                self._known.keep(digest, principal)
        return principal

    async def reload(self) -> None:
        """Take over a changed file. FileRefused for a bad one; the last good one stays."""
        before = self._file.value
        if await self._file.reload():
            kept = lines.carried_over(dict(before), dict(self._file.value))
            self._file.value = tuple(kept.items())
            self._known.clear()
            logger.info("%s now lists %d tokens.", self._path, len(self._file.value))


def new_token() -> str:
    """A new token, of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def credential_of(token: str) -> str:
    """The written form of a token's hash."""
    return f"sha256:{sha256(token.encode()).hexdigest()}"


def _entries(path: Path, contents: Sequence[bytes]) -> Entries:
    entries: dict[bytes, Principal] = {}
    for line in lines.parse(path, contents[0], VIA):
        found = _HASH.fullmatch(line.credential)
        if not found:
            detail = "write the credential as sha256: and 64 hexadecimal digits; `runsvc token new` prints such lines"
            raise FileRefused(line.place, detail)
        if (digest := bytes.fromhex(found[1])) in entries:
            raise FileRefused(line.place, "an earlier line has the same token")
        entries[digest] = line.principal
    return tuple(entries.items())
