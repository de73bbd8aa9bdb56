"""Both Python clients under one asynchronous interface, so that one test covers both."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from runsvc.client import AsyncRunClient, RunClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from runsvc.client import Watch

CLIENT_TYPES: Final[tuple[type[AsyncRunClient | RunClient], ...]] = (AsyncRunClient, RunClient)

_DONE: Final = object()


def make_client(client_type: type[AsyncRunClient | RunClient], *arguments: Any, **more: Any) -> Any:
    """Create a client of this type, with methods that are awaited."""
    client = client_type(*arguments, **more)
    return client if isinstance(client, AsyncRunClient) else _Threaded(client)


class _Threaded:
    """The synchronous client, with each call in a thread."""

    def __init__(self, client: RunClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        return _awaited(value) if callable(value) else value

    async def __aenter__(self) -> _Threaded:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._client.close)

    def list_by_thread(self, *arguments: Any, **more: Any) -> AsyncIterator[Any]:
        return _iterated(self._client.list_by_thread(*arguments, **more))

    def watch(self, *arguments: Any, **more: Any) -> _ThreadedWatch:
        return _ThreadedWatch(self._client.watch(*arguments, **more))


class _ThreadedWatch:
    """The synchronous watch, which waits for each event in a thread."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def __aiter__(self) -> _ThreadedWatch:
        return self

    async def __anext__(self) -> Any:
        event = await asyncio.to_thread(next, self._watch, _DONE)
        if event is _DONE:
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        await asyncio.to_thread(self._watch.close)


def _awaited(method: Callable[..., Any]) -> Any:
    async def call(*arguments: Any, **more: Any) -> Any:
        return await asyncio.to_thread(method, *arguments, **more)

    return call


async def _iterated(items: Iterator[Any]) -> AsyncIterator[Any]:
    while (item := await asyncio.to_thread(next, items, _DONE)) is not _DONE:
        yield item
