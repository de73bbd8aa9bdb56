"""Page tokens: a position in one list, as text that is valid for that list only."""

from __future__ import annotations

import re
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID
from zlib import crc32

from runsvc.store.queries import PageKey

if TYPE_CHECKING:
    from runsvc.core.model import RunStatus

_VERSION: Final = 1
#: Version, microseconds of created_at, run_id.
_POSITION: Final = struct.Struct(">Bq16s")
_CHECKSUM: Final = struct.Struct(">I")
#: Position and checksum as base64url without padding.
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{39}")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def encode(key: PageKey, *, owner: str, thread_id: str, statuses: frozenset[RunStatus]) -> str:
    """The token of a position in the list of a thread's runs with these statuses."""
    created_at = (key.created_at - _EPOCH) // _MICROSECOND
    position = _POSITION.pack(_VERSION, created_at, UUID(key.run_id).bytes)
    # Guards against mistakes, not malice: a forged position shows only the caller's own runs.
    scope = repr((owner, thread_id, sorted(map(int, statuses)))).encode()
    checksum = _CHECKSUM.pack(crc32(position, crc32(scope)))
    return urlsafe_b64encode(position + checksum).rstrip(b"=").decode()


def decode(token: str, *, owner: str, thread_id: str, statuses: frozenset[RunStatus]) -> PageKey:
    """The position in a token. ValueError unless it is exactly a token of this list."""
    if not _FORM.fullmatch(token):
        raise ValueError("not the form of a token")
    version, created_at, run_id = _POSITION.unpack_from(urlsafe_b64decode(token + "="))
    if version != _VERSION:
        raise ValueError("a token of another version")
    key = PageKey(_time(created_at), str(UUID(bytes=run_id)))
    # Also refuses other spellings of the same bytes.
    if encode(key, owner=owner, thread_id=thread_id, statuses=statuses) != token:
        raise ValueError("a token of another list")
    return key


def _time(microseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError as error:
        raise ValueError("not a time") from error
