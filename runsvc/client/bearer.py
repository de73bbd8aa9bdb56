"""A token on every call, of both kinds of channel.

One object for each kind of call: of an object of several kinds grpc.aio sees the first alone, and streams would go
without. Call credentials are no way: the transport refuses them where there is no TLS.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

#: A token, or a function that is asked for one before every call.
Token: TypeAlias = str | Callable[[], str]
#: The same for asyncio, where the function may be a coroutine function.
AsyncToken: TypeAlias = str | Callable[[], str | Awaitable[str]]


def interceptors(
    token: Token,
) -> tuple[grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor]:
    """What puts the token on calls for threads."""
    return _OnUnary(token), _OnStream(token)


def async_interceptors(token: AsyncToken) -> Sequence[grpc.aio.ClientInterceptor]:
    """What puts the token on calls for asyncio."""
    return _OnAsyncUnary(token), _OnAsyncStream(token)


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _CallDetails(_Details, grpc.ClientCallDetails):
    """What the transport asks of a call, as a value that can be made anew."""


class _OnUnary(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, token: Token) -> None:
        self._token = token

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(_with_token(details, self._token), request)


class _OnStream(grpc.UnaryStreamClientInterceptor):
    def __init__(self, token: Token) -> None:
        self._token = token

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(_with_token(details, self._token), request)


class _OnAsyncUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, token: AsyncToken) -> None:
        self._token = token

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(await _with_async_token(details, self._token), request)


class _OnAsyncStream(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, token: AsyncToken) -> None:
        self._token = token

    async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(await _with_async_token(details, self._token), request)


def _with_token(details: Any, token: Token) -> _CallDetails:
    header = _header(token if isinstance(token, str) else token())
    return _CallDetails(
        details.method,
        details.timeout,
        [*(details.metadata or ()), header],
        details.credentials,
        details.wait_for_ready,
        details.compression,
    )


async def _with_async_token(details: Any, token: AsyncToken) -> grpc.aio.ClientCallDetails:
    present = token if isinstance(token, str) else token()
    header = _header(await present if inspect.isawaitable(present) else present)
    metadata = grpc.aio.Metadata(*(details.metadata or ()), header)
    return grpc.aio.ClientCallDetails(
        details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
    )


def _header(token: str) -> tuple[str, str]:
    return "authorization", f"Bearer {token}"
