"""Server reflection, in a form that does not delay a stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from runsvc.rpc.in_flight import InFlight
    from runsvc.rpc.methods import Handler


def until_quiet(handler: Handler, in_flight: InFlight) -> Handler:
    """The handler of a bidirectional stream, whose requests end once the draining server is quiet.

    An idle client must not hold up the stop.
    """
    return grpc.stream_stream_rpc_method_handler(
        _until_quiet(handler.stream_stream, in_flight.quiet),
        handler.request_deserializer,
        handler.response_serializer,
    )


def _until_quiet(behavior: Callable[[Any, Any], AsyncIterator[Any]], quiet: asyncio.Event) -> Any:
    async def call(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for answer in behavior(_before(quiet, requests), context):
            yield answer

    return call


async def _before(quiet: asyncio.Event, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The requests that arrive before the event."""
    ended = asyncio.ensure_future(quiet.wait())
    try:
        while not ended.done():
            request = asyncio.ensure_future(_next(requests))
            await asyncio.wait((request, ended), return_when=asyncio.FIRST_COMPLETED)
            if not request.done():
                request.cancel()
            elif (found := request.result()) is not None:
                yield found
            else:
                return
    finally:
        ended.cancel()


async def _next(requests: AsyncIterator[Any]) -> Any:
    """The next request; None after the last."""
    return await anext(requests, None)
