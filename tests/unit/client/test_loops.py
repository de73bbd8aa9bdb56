"""An asynchronous client belongs to the event loop in which it was made."""

from __future__ import annotations

import asyncio

import pytest

from runsvc.client import AsyncRunClient, aconnect


def test_client_outside_a_loop_is_refused() -> None:
    with pytest.raises(RuntimeError, match="Create the client inside a coroutine"):
        AsyncRunClient("127.0.0.1:1")


def test_channel_outside_a_loop_is_refused() -> None:
    with pytest.raises(RuntimeError, match="Create the channel inside a coroutine"):
        aconnect("127.0.0.1:1")


def test_client_of_another_loop_is_refused() -> None:
    async def made() -> AsyncRunClient:
        return AsyncRunClient("127.0.0.1:1", token=None)

    async def used(client: AsyncRunClient) -> None:
        with pytest.raises(RuntimeError, match="belongs to another event loop"):
            await client.get("r")
        with pytest.raises(RuntimeError, match="belongs to another event loop"):
            await anext(client.watch("r"))

    with asyncio.Runner() as first, asyncio.Runner() as second:
        client = first.run(made())
        second.run(used(client))
        first.run(client.close())
