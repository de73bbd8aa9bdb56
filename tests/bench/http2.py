"""A light gRPC client over raw HTTP/2 frames, so that the load does not limit the measurement.

A client of grpc.aio takes as much processor time as the server under test. This one takes some 30 µs a call: it encodes
the headers of a method once, and asks the server for stateless header compression, so that equal header blocks are
equal bytes. It decodes the gRPC status of every response, but no response message.
"""

from __future__ import annotations

import asyncio
import functools
import struct
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from hpack import Decoder, Encoder, NeverIndexedHeaderTuple

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _MAX_STREAMS, _INITIAL_WINDOW, _MAX_FRAME = 1, 2, 3, 4, 5

_LARGEST_WINDOW: Final = 2**31 - 1
_DEFAULT_WINDOW: Final = 65_535
#: The largest payload of a frame that every server accepts from the start.
_LARGEST_FRAME: Final = 16_384
#: Received bytes after which the connection's receive window is extended again.
_EXTEND_AFTER: Final = 1 << 29

#: Status of a call that the server reset without a gRPC status.
RESET: Final = -1


class Reply(NamedTuple):
    """The end of a call: its gRPC status and, for a unary call, the response message."""

    status: int
    message: bytes


class ConnectionLost(Exception):
    """The connection is closed."""


@functools.cache
def request_headers(method: str, extra: tuple[tuple[str, str], ...] = ()) -> bytes:
    """The header block for calls of a method, such as /runsvc.v1.RunService/Get, with extra headers."""
    headers = (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", method),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *extra,
    )
    # Never indexed, so that a block does not depend on earlier ones.
    return Encoder().encode([NeverIndexedHeaderTuple(*header) for header in headers])


@functools.lru_cache(maxsize=4_096)
def _status(block: bytes) -> int | None:
    """The gRPC status in a header block, or None if the block has none and more follows."""
    for name, value in Decoder().decode(block, raw=True):
        if name == b"grpc-status":
            return int(value)
    return None


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _data_frames(stream: int, body: bytes) -> bytes:
    frames = b""
    while len(body) > _LARGEST_FRAME:
        frames += _frame(_DATA, 0, stream, body[:_LARGEST_FRAME])
        body = body[_LARGEST_FRAME:]
    return frames + _frame(_DATA, _END_STREAM, stream, body)


class _Stream:
    __slots__ = ("ended", "on_message", "received")

    def __init__(self, on_message: Callable[[bytes], None] | None) -> None:
        self.ended: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.received = bytearray()
        #: Called with each message of a server stream; None for a unary call.
        self.on_message = on_message


class Connection(asyncio.Protocol):
    """One HTTP/2 connection, with as many concurrent calls as the server allows."""

    def __init__(self, window: int = _LARGEST_WINDOW) -> None:
        #: Bytes that the server may send on a stream before `grant` allows more.
        self._window = window
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._streams: dict[int, _Stream] = {}
        self._next = 1
        self._send_window = _DEFAULT_WINDOW
        self._stream_window = _DEFAULT_WINDOW
        self._blocked: list[tuple[bytes, int]] = []
        self._received = 0
        self._is_going_away = False
        #: Most streams that the server allows, and the calls that wait for one: stream, frames and cost.
        self._max_streams = _LARGEST_WINDOW
        self._queued: dict[int, tuple[bytes, int]] = {}

    @classmethod
    async def open(
        cls, address: str, window: int = _LARGEST_WINDOW, tls: ssl.SSLContext | None = None
    ) -> Connection:
        """Connect to HOST:PORT. A stream stalls after `window` bytes until `grant` allows more."""
        host, _, port = address.rpartition(":")
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: cls(window), host.strip("[]"), int(port), ssl=tls
        )
        return connection

    @property
    def is_open(self) -> bool:
        """True if new calls are possible: the connection is not closed, and the server has not sent GOAWAY."""
        if self._transport is None or self._transport.is_closing():
            return False
        return not self._is_going_away

    @property
    def next_stream(self) -> int:
        """The number of the next call's stream, for `cancel`."""
        return self._next

    def close(self) -> None:
        """End every call and the connection."""
        if self._transport is not None:
            self._transport.close()

    def unary(
        self,
        method: str,
        message: bytes,
        extra: tuple[tuple[str, str], ...] = (),
        *,
        compressed: bool = False,
    ) -> asyncio.Future[Reply]:
        """Start a call and return a future of its end, which raises ConnectionLost if the connection breaks."""
        return self._start(method, message, None, extra, compressed).ended

    def stream(
        self, method: str, message: bytes, on_message: Callable[[bytes], None]
    ) -> tuple[int, asyncio.Future[Reply]]:
        """Start a server stream. Return its number, for `grant` and `cancel`, and a future of its end."""
        number = self._next
        return number, self._start(method, message, on_message).ended

    def grant(self, number: int, size: int) -> None:
        """Allow this many more bytes on a stream."""
        self._write(_frame(_WINDOW, 0, number, struct.pack(">I", size)))

    def cancel(self, number: int) -> None:
        """Cancel a call."""
        stream = self._streams.pop(number, None)
        if stream is not None and self._queued.pop(number, None) is None:
            self._write(_frame(_RST, 0, number, struct.pack(">I", 8)))
        if stream is not None:
            stream.ended.cancel()
            self._send_queued()

    def _start(
        self,
        method: str,
        message: bytes,
        on_message: Callable[[bytes], None] | None,
        extra: tuple[tuple[str, str], ...] = (),
        compressed: bool = False,
    ) -> _Stream:
        if self._transport is None:
            raise ConnectionLost
        number, self._next = self._next, self._next + 2
        stream = self._streams[number] = _Stream(on_message)
        headers = _frame(_HEADERS, _END_HEADERS, number, request_headers(method, extra))
        body = struct.pack(">BI", compressed, len(message)) + message
        if len(body) > self._stream_window:
            raise ValueError("the request is larger than the server's window of a stream")
        self._queued[number] = headers + _data_frames(number, body), len(body)
        self._send_queued()
        return stream

    def _send_queued(self) -> None:
        """Send the oldest waiting calls for which the server has room."""
        queued = self._queued
        while queued and len(self._streams) - len(queued) < self._max_streams:
            self._send(*queued.pop(next(iter(queued))))

    def _send(self, frames: bytes, cost: int) -> None:
        if self._blocked or cost > self._send_window:
            self._blocked.append((frames, cost))
            return
        self._send_window -= cost
        self._write(frames)

    def _write(self, frames: bytes) -> None:
        if self._transport is None:
            raise ConnectionLost
        self._transport.write(frames)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport does not inherit from asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)
        settings = struct.pack(
            ">HIHIHI", _HEADER_TABLE_SIZE, 0, _ENABLE_PUSH, 0, _INITIAL_WINDOW, self._window
        )
        extension = struct.pack(">I", _LARGEST_WINDOW - _DEFAULT_WINDOW)
        self._write(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW, 0, 0, extension))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            if not stream.ended.done():
                stream.ended.set_exception(ConnectionLost())
                # Not every caller waits for the end, and no one misses it.
                stream.ended.exception()

    def data_received(self, data: bytes) -> None:
        unread = self._unread
        unread += data
        at, size = 0, len(unread)
        while size - at >= 9:
            length = int.from_bytes(unread[at : at + 3], "big")
            end = at + 9 + length
            if end > size:
                break
            kind, flags = unread[at + 3], unread[at + 4]
            number = int.from_bytes(unread[at + 5 : at + 9], "big")
            self._on_frame(kind, flags, number, bytes(unread[at + 9 : end]))
            at = end
        del unread[:at]

    def _on_frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == _DATA:
            self._on_data(number, payload)
        elif kind == _HEADERS:
            self._on_headers(number, payload)
        elif kind == _WINDOW:
            self._on_window(number, payload)
        elif kind == _SETTINGS and not flags & _ACK:
            self._on_settings(payload)
        elif kind == _PING and not flags & _ACK:
            self._write(_frame(_PING, _ACK, 0, payload))
        elif kind == _RST:
            self._end(number, RESET)
        elif kind == _GOAWAY:
            self._is_going_away = True

    def _on_data(self, number: int, payload: bytes) -> None:
        self._received += len(payload)
        if self._received > _EXTEND_AFTER:
            self._write(_frame(_WINDOW, 0, 0, struct.pack(">I", self._received)))
            self._received = 0
        stream = self._streams.get(number)
        if stream is None:
            return
        if stream.on_message is None:
            stream.received += payload
            return
        _deliver(stream, payload)

    def _on_headers(self, number: int, payload: bytes) -> None:
        if (status := _status(payload)) is not None:
            self._end(number, status)

    def _end(self, number: int, status: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None and not stream.ended.done():
            stream.ended.set_result(Reply(status, bytes(stream.received[5:])))
        if self._queued:
            self._send_queued()

    def _on_window(self, number: int, payload: bytes) -> None:
        if number:
            # The window of a stream does not matter: its request has been sent as a whole.
            return
        self._send_window += int.from_bytes(payload, "big")
        blocked, self._blocked = self._blocked, []
        for frames, cost in blocked:
            self._send(frames, cost)

    def _on_settings(self, payload: bytes) -> None:
        for at in range(0, len(payload), 6):
            key, value = struct.unpack_from(">HI", payload, at)
            if key == _INITIAL_WINDOW:
                self._stream_window = value
            elif key == _MAX_STREAMS:
                self._max_streams = value
        self._write(_frame(_SETTINGS, _ACK, 0, b""))


def _deliver(stream: _Stream, payload: bytes) -> None:
    assert stream.on_message is not None
    received = stream.received
    received += payload
    while len(received) >= 5:
        end = 5 + int.from_bytes(received[1:5], "big")
        if len(received) < end:
            return
        stream.on_message(bytes(received[5:end]))
        del received[:end]
