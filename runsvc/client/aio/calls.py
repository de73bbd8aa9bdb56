"""The connection of a client for asyncio, and its unary calls."""

from __future__ import annotations

import asyncio
import threading
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar
from weakref import WeakSet

import grpc

from runsvc.client.aio.heartbeats import Heartbeats
from runsvc.client.aio.watch import AsyncWatch
from runsvc.client.bearer import RememberedToken, SentToken, fresh_token
from runsvc.client.channel import aconnect, running_loop
from runsvc.client.error import RunError, error_of, unasked
from runsvc.client.owner import owner_metadata
from runsvc.client.retry import Attempts
from runsvc.client.settings import ENVIRONMENT, Settings
from runsvc.client.streams import Streams
from runsvc.client.token_file import TokenFile
from runsvc.v1.admin_service_pb2_grpc import AdminServiceStub
from runsvc.v1.run_service_pb2_grpc import RunServiceStub

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from google.protobuf.message import Message

    from runsvc.client.bearer import AsyncTokenOrFile
    from runsvc.client.owner import Metadata
    from runsvc.client.resume import Resumption
    from runsvc.client.settings import Certificates, FromEnvironment
    from runsvc.v1.run_service_pb2 import StreamStatusRequest, StreamStatusResponse

_Request = TypeVar("_Request", bound="Message")
_Answer = TypeVar("_Answer")

_OTHER_LOOP: Final = "The client belongs to another event loop. Create one client for each loop."


class AsyncCalls:
    """A connection, and calls over it with deadlines, retries and typed errors."""

    def __init__(
        self,
        target: str | FromEnvironment | None = ENVIRONMENT,
        *,
        token: AsyncTokenOrFile | FromEnvironment | None = ENVIRONMENT,
        tls_ca: Certificates | FromEnvironment | None = ENVIRONMENT,
        tls_cert: Certificates | FromEnvironment | None = ENVIRONMENT,
        tls_key: Certificates | FromEnvironment | None = ENVIRONMENT,
        timeout: float | FromEnvironment | None = ENVIRONMENT,
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    ) -> None:
        """Create a client inside the running event loop. It connects with the first call.

        An omitted argument is read from its environment variable. None ignores the variable and selects the default.

        - `target` (RUNSVC_TARGET) is the server's address, host:port or unix:path. With several servers,
          dns:///host:port or ipv4:address:port,address:port spreads calls and watches over those that serve.
        - `token` (RUNSVC_TOKEN) is sent as a bearer token with every call. A function, which may be a coroutine
          function, is called before each call and returns the token.
          A path (RUNSVC_TOKEN_FILE) names a file, which is read before each call. If the server refuses the token of
          a function or a file, the call is repeated once with a new one, and a watch resumes.
        - `tls_ca` (RUNSVC_TLS_CA) is a file of trusted certificates in PEM, or its content, and enables TLS.
        - `tls_cert` and `tls_key` (RUNSVC_TLS_CERT, RUNSVC_TLS_KEY) are the client's certificate and its key, likewise.
          When files have changed, and can be used, calls use a new connection with them.
        - `timeout` (RUNSVC_TIMEOUT) is the default deadline of a call in seconds; the default is 10.
        - `interceptors` are added to the channel, behind the token's.

        Raises RuntimeError outside a running event loop. A client belongs to its loop, and fails in another one.
        Raises ValueError for a timeout that is not above 0 and for a certificate without its key.
        Raises OSError for a file that cannot be read.
        """
        self._loop = running_loop("client")
        #: Shared with the clients of `for_owner`.
        self._closed = threading.Event()
        #: Sent with every call.
        self.metadata: Metadata = ()
        self._watches = WeakSet[AsyncWatch]()
        settings = Settings.of(target, token, tls_ca, timeout, tls_cert, tls_key)
        if callable(settings.token) and not isinstance(settings.token, TokenFile):
            settings = replace(settings, token=RememberedToken(settings.token))
        #: Fetches a token. None if one that is refused cannot be replaced.
        self._token = settings.token if callable(settings.token) else None
        self.target: str = settings.target
        """The server's address."""
        self.timeout: float = settings.timeout
        """Default deadline of a call, in seconds."""
        connect_again = partial(
            aconnect,
            settings.target,
            token=settings.token,
            **settings.tls,
            interceptors=interceptors,
        )
        self.channel: grpc.aio.Channel = connect_again()
        """The connection. It may be used for other stubs. Further ones serve watches if there are many."""
        self._streams = Streams[grpc.aio.Channel](self.channel, connect_again)
        #: Sends the heartbeats of executions. None with interceptors, which need the event loop.
        self.heartbeats = None if interceptors else Heartbeats(settings)
        self.stub = RunServiceStub(self.channel)
        """The generated stub of RunService, without default deadline, retries and typed errors."""
        self.admin_stub = AdminServiceStub(self.channel)
        """The generated stub of AdminService, likewise."""

    def for_owner(self, owner: str) -> Self:
        """Return a client over the same connection whose calls are for one owner, as of a gateway for its users.

        A run of another owner does not exist for it, and the runs that it creates belong to the owner. The empty owner
        is the platform itself. The client's credential must be for every owner, or for this one: otherwise calls raise
        `RunError` with the reason PERMISSION_DENIED. Closing one of the two clients closes both. `stub` and
        `admin_stub` stay without the owner.

        Raises ValueError for a name that is not at most 128 printable ASCII characters without spaces.
        """
        view = copy(self)
        view.metadata = owner_metadata(owner)
        return view

    async def close(self) -> None:
        """Close the connection. Calls and watches in progress fail with CANCELLED."""
        self._closed.set()
        # Streams first: old releases of grpcio crash if a stream outlives its channel.
        for watch in tuple(self._watches):
            watch.drop_stream()
        for channel in (self.channel, *self._streams.further_channels()):
            await channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Answer],
        request: _Request,
        timeout: float | None,
    ) -> _Answer:
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(_OTHER_LOOP)
        attempts = Attempts(request, self.timeout if timeout is None else timeout)
        sent = None if self._token is None else SentToken()
        send = method if sent is None else partial(sent.send, method)
        while True:
            try:
                return await send(request, timeout=attempts.time_left(), metadata=self.metadata)
            except grpc.RpcError as failure:
                error = error_of(failure)
                if not self._closed.is_set():
                    error = unasked(error)
                if await self._has_new_token(sent, error):
                    continue
                pause = attempts.pause_after(error)
                if pause is None:
                    raise error from failure
            await asyncio.sleep(pause)

    async def _has_new_token(self, sent: SentToken | None, error: RunError) -> bool:
        """Return whether the server refused the token that was sent, and the next call sends another."""
        if sent is None or self._token is None or not sent.is_refused_once(error):
            return False
        return sent.replace(await fresh_token(self._token))

    def _open_watch(
        self, resumption: Resumption, on_reconnect: Callable[[RunError], object] | None
    ) -> AsyncWatch:
        resumption.sent = sent = None if self._token is None else SentToken()
        watch = AsyncWatch(
            partial(self._open_stream, sent),
            partial(self._has_new_token, sent),
            resumption,
            on_reconnect,
        )
        self._watches.add(watch)
        return watch

    def _open_stream(
        self, sent: SentToken | None, request: StreamStatusRequest
    ) -> grpc.aio.UnaryStreamCall[StreamStatusRequest, StreamStatusResponse]:
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(_OTHER_LOOP)
        if self._closed.is_set():
            raise RunError(grpc.StatusCode.CANCELLED, message="The client is closed.")
        stream: grpc.aio.UnaryStreamCall[StreamStatusRequest, StreamStatusResponse] = (
            self._streams.open(request, self.metadata, sent)
        )
        return stream
