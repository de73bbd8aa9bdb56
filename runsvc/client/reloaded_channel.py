"""Channels that follow their files: grpc for Python reads certificates and keys once, when a channel is made.

When the files have changed, calls and watches use a new channel. Those in progress stay on the former one, until the
files change once more.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.client.tls_files import TlsFiles


class _Method:
    """A method of a stub that uses the present channel."""

    def __init__(self, present: Callable[[], Any], kind: str, arguments: Any, more: Any) -> None:
        self._present = present
        self._kind, self._arguments, self._more = kind, arguments, more
        #: The channel, and the method on it.
        self._made: tuple[Any, Any] = (None, None)

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        return self._method()(*arguments, **more)

    def with_call(self, *arguments: Any, **more: Any) -> Any:
        """Make a call, and return its answer and the call."""
        return self._method().with_call(*arguments, **more)

    def future(self, *arguments: Any, **more: Any) -> Any:
        """Begin a call."""
        return self._method().future(*arguments, **more)

    def _method(self) -> Any:
        present = self._present()
        channel, method = self._made
        if channel is not present:
            method = getattr(present, self._kind)(*self._arguments, **self._more)
            self._made = present, method
        return method


class _Present:
    """The present channel, and the former one."""

    def __init__(self, connect: Callable[[], Any], files: TlsFiles) -> None:
        self._connect, self._files = connect, files
        self._lock = threading.Lock()
        self._present, self._former = connect(), None

    def channel(self) -> tuple[Any, Any]:
        """Return the present channel, and one to close, or None."""
        with self._lock:
            if not self._files.have_changed():
                return self._present, None
            unused, self._former = self._former, self._present
            self._present = self._connect()
            return self._present, unused

    def all(self) -> list[Any]:
        """Return the open channels."""
        with self._lock:
            return [each for each in (self._present, self._former) if each is not None]


class _Methods(ABC):
    """The methods of a channel that follows its files."""

    @abstractmethod
    def _present(self) -> Any:
        """Return the present channel."""

    def unary_unary(self, *arguments: Any, **more: Any) -> Any:
        """Return a method."""
        return _Method(self._present, "unary_unary", arguments, more)

    def unary_stream(self, *arguments: Any, **more: Any) -> Any:
        """Return a method."""
        return _Method(self._present, "unary_stream", arguments, more)

    def stream_unary(self, *arguments: Any, **more: Any) -> Any:
        """Return a method."""
        return _Method(self._present, "stream_unary", arguments, more)

    def stream_stream(self, *arguments: Any, **more: Any) -> Any:
        """Return a method."""
        return _Method(self._present, "stream_stream", arguments, more)


class ReloadedChannel(_Methods, grpc.Channel):
    """A channel for threads that follows its files."""

    def __init__(self, connect: Callable[[], grpc.Channel], files: TlsFiles) -> None:
        self._channels = _Present(connect, files)

    def _present(self) -> grpc.Channel:
        present, unused = self._channels.channel()
        if unused is not None:
            unused.close()
        channel: grpc.Channel = present
        return channel

    def subscribe(self, callback: Any, try_to_connect: bool = False) -> None:
        """Subscribe to the state of the present channel."""
        self._present().subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Any) -> None:
        """End a subscription."""
        for channel in self._channels.all():
            channel.unsubscribe(callback)

    def close(self) -> None:
        """Close the channel."""
        for channel in self._channels.all():
            channel.close()

    def __enter__(self) -> ReloadedChannel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncReloadedChannel(_Methods, grpc.aio.Channel):
    """A channel for asyncio that follows its files."""

    def __init__(self, connect: Callable[[], grpc.aio.Channel], files: TlsFiles) -> None:
        self._channels = _Present(connect, files)
        self._closing = set[asyncio.Future[Any]]()

    def _present(self) -> grpc.aio.Channel:
        present, unused = self._channels.channel()
        if unused is not None:
            closing = asyncio.ensure_future(unused.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        channel: grpc.aio.Channel = present
        return channel

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return the state of the present channel."""
        return self._present().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the state of the present channel is another."""
        await self._present().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the present channel is connected."""
        await self._present().channel_ready()

    async def close(self, grace: float | None = None) -> None:
        """Close the channel."""
        for channel in self._channels.all():
            await channel.close(grace)

    async def __aenter__(self) -> AsyncReloadedChannel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
