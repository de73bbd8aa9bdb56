"""Parameters of statements. Each has one type, whatever its value, so that a statement is prepared once.

A column of many rows is one array, encoded in the binary format of PostgreSQL.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from psycopg import adapters, pq
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.types.numeric import Int8BinaryDumper
from psycopg.types.string import BytesBinaryDumper, StrBinaryDumper

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Type oids of the elements.
_INT8, _TEXT, _BYTEA = 20, 25, 17
#: Dimensions, whether there are nulls, type, length, lower bound.
_HEADER: Final = Struct("!iiIii")
_LENGTH: Final = Struct("!i")
_INT8_ELEMENT: Final = Struct("!iq")
_NULL: Final = _LENGTH.pack(-1)


class Ints(bytes):
    """An encoded bigint[]."""


class Texts(bytes):
    """An encoded text[]."""


class Blobs(bytes):
    """An encoded bytea[]."""


def ints(values: Sequence[int | None]) -> Ints:
    """Encode a column of integers."""
    pack = _INT8_ELEMENT.pack
    elements = (_NULL if value is None else pack(8, value) for value in values)
    return Ints(_array(_INT8, len(values), elements))


def texts(values: Sequence[str | None]) -> Texts:
    """Encode a column of texts."""
    elements = (_NULL if value is None else _element(value.encode()) for value in values)
    return Texts(_array(_TEXT, len(values), elements))


def blobs(values: Sequence[bytes | None]) -> Blobs:
    """Encode a column of bytes."""
    elements = (_NULL if value is None else _element(value) for value in values)
    return Blobs(_array(_BYTEA, len(values), elements))


def _element(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value


def _array(element: int, length: int, elements: Iterable[bytes]) -> bytes:
    return _HEADER.pack(1, 1, element, length, 1) + b"".join(elements)


class _Encoded(Dumper):
    format = pq.Format.BINARY

    def dump(self, obj: bytes) -> bytes:
        return obj


class _IntsDumper(_Encoded):
    oid = 1016


class _TextsDumper(_Encoded):
    oid = 1009


class _BlobsDumper(_Encoded):
    oid = 1001


def _adapters() -> AdaptersMap:
    own = AdaptersMap(adapters)
    for kind, dumper in (
        (int, Int8BinaryDumper),
        (str, StrBinaryDumper),
        (bytes, BytesBinaryDumper),
        (Ints, _IntsDumper),
        (Texts, _TextsDumper),
        (Blobs, _BlobsDumper),
    ):
        own.register_dumper(kind, dumper)
    return own


#: How the connections of this engine encode parameters.
ADAPTERS: Final = _adapters()
