"""Interceptors that add a bearer token to every call.

Each kind of call has its own object: grpc.aio registers an object of several kinds for the first kind only, and
streams would carry no token. Call credentials do not work without TLS: the transport rejects them.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import grpc

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from typing import TypeAlias

    from runsvc.client.error import RunError

_Call = TypeVar("_Call")

#: A token, or a function that returns one. It is called before every call.
Token: TypeAlias = str | Callable[[], str]
#: The same for asyncio. The function may be a coroutine function.
AsyncToken: TypeAlias = str | Callable[[], str | Awaitable[str]]
#: The same, or a file that holds a token. It is read before every call.
TokenOrFile: TypeAlias = Token | os.PathLike[str]
AsyncTokenOrFile: TypeAlias = AsyncToken | os.PathLike[str]


#: Longest wait of a thread for the event loop to produce a token, in seconds.
_TOKEN_WAIT: Final = 0.25


class RememberedToken:
    """A token function that runs in the event loop, and its last result for threads while that loop is blocked."""

    def __init__(self, token: Callable[[], str | Awaitable[str]]) -> None:
        self._token = token
        self._last: str | None = None
        self._pending: Future[str] | None = None

    async def __call__(self) -> str:
        """Return a new token."""
        present = self._token()
        self._last = await present if inspect.isawaitable(present) else present
        return self._last

    def for_thread(self, loop: asyncio.AbstractEventLoop) -> Callable[[], str]:
        """Return a function for one other thread: a new token, or the last one while the loop is blocked."""

        def current() -> str:
            last, pending = self._last, self._pending
            if last is not None and pending is not None and not pending.done():
                return last
            self._pending = pending = asyncio.run_coroutine_threadsafe(self(), loop)
            try:
                return pending.result(_TOKEN_WAIT)
            except TimeoutError:
                if last is None:
                    raise
                return last

        return current


def interceptors(
    token: Token,
) -> tuple[grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor]:
    """Return the interceptors of a channel for threads."""
    return _OnUnary(token), _OnStream(token)


def async_interceptors(token: AsyncToken) -> Sequence[grpc.aio.ClientInterceptor]:
    """Return the interceptors of a channel for asyncio."""
    return _OnAsyncUnary(token), _OnAsyncStream(token)


class SentToken:
    """The token of one call or watch: the one that was sent, and its replacement after the server refused it."""

    def __init__(self) -> None:
        self._token: str | None = None
        self._replacement: str | None = None
        self._is_replaced = False

    def send(self, method: Callable[..., _Call], *arguments: Any, **more: Any) -> _Call:
        """Call a method of a stub whose channel has the token's interceptors."""
        previous = _sent.set(self)
        try:
            return method(*arguments, **more)
        finally:
            _sent.reset(previous)

    def is_refused_once(self, error: RunError) -> bool:
        """Return whether the server refused the token that was sent, which has not replaced another one."""
        is_refusal = error.code is grpc.StatusCode.UNAUTHENTICATED
        return is_refusal and not self._is_replaced and self._token is not None

    def replace(self, fresh: str) -> bool:
        """Send this token next. Return False if it is the one that was refused."""
        if fresh == self._token:
            return False
        self._replacement, self._is_replaced = fresh, True
        return True

    def accept(self) -> None:
        """Record that the server accepted the token. When it ends, it is replaced again."""
        self._is_replaced = False

    def take_replacement(self) -> str | None:
        """Return the token to send in place of a fetched one, if there is one."""
        token, self._replacement = self._replacement, None
        return token

    def record(self, token: str) -> None:
        """Record the token that is sent."""
        self._token = token


#: The token of the call that is being made. A task that sends it has a copy of the context.
_sent: Final[ContextVar[SentToken | None]] = ContextVar("runsvc_sent_token", default=None)


def _fetched(token: Callable[[], str]) -> str:
    """Return the token for the call that is being made."""
    sent = _sent.get()
    present = (sent and sent.take_replacement()) or token()
    if sent is not None:
        sent.record(present)
    return present


async def fresh_token(token: Callable[[], str | Awaitable[str]]) -> str:
    """Return a newly fetched token."""
    present = token()
    return await present if inspect.isawaitable(present) else present


async def _afetched(token: Callable[[], str | Awaitable[str]]) -> str:
    sent = _sent.get()
    present = (sent and sent.take_replacement()) or await fresh_token(token)
    if sent is not None:
        sent.record(present)
    return present


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _CallDetails(_Details, grpc.ClientCallDetails):
    """The details of a call as grpc reads them. Unlike grpc's own object it can be built with other metadata."""


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
    header = _header(token if isinstance(token, str) else _fetched(token))
    return _CallDetails(
        details.method,
        details.timeout,
        [*(details.metadata or ()), header],
        details.credentials,
        details.wait_for_ready,
        details.compression,
    )


async def _with_async_token(details: Any, token: AsyncToken) -> grpc.aio.ClientCallDetails:
    header = _header(token if isinstance(token, str) else await _afetched(token))
    metadata = grpc.aio.Metadata(*(details.metadata or ()), header)
    return grpc.aio.ClientCallDetails(
        details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
    )


def _header(token: str) -> tuple[str, str]:
    return "authorization", f"Bearer {token}"
