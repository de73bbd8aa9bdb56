"""How a client for threads is connected, and how it makes a call."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakSet

import grpc

from runsvc.client.channel import connect
from runsvc.client.error import RunError, error_of
from runsvc.client.retry import Attempts
from runsvc.client.settings import ENVIRONMENT, Settings
from runsvc.client.sync.watch import Watch
from runsvc.v1.admin_service_pb2_grpc import AdminServiceStub
from runsvc.v1.run_service_pb2_grpc import RunServiceStub

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from google.protobuf.message import Message

    from runsvc.client.bearer import Token
    from runsvc.client.channel import Interceptor
    from runsvc.client.settings import Certificates, FromEnvironment
    from runsvc.v1.run_service_pb2 import StreamStatusRequest, StreamStatusResponse

_Request = TypeVar("_Request", bound="Message")
_Answer = TypeVar("_Answer")


class Calls:
    """A connection, and calls over it with deadlines, retries and our errors."""

    def __init__(
        self,
        target: str | FromEnvironment | None = ENVIRONMENT,
        *,
        token: Token | FromEnvironment | None = ENVIRONMENT,
        tls_ca: Certificates | FromEnvironment | None = ENVIRONMENT,
        timeout: float | FromEnvironment | None = ENVIRONMENT,
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        """A client of the server at `target` (host:port).

        What is left out comes from RUNSVC_TARGET, RUNSVC_TOKEN, RUNSVC_TLS_CA and RUNSVC_TIMEOUT; None switches the
        variable off. `token` is sent with every call, or is a function that is asked for one before each. `tls_ca` is a
        file of the certificates that the server's must lead to, or its bytes; without it there is no TLS. `timeout` is
        the default deadline of a call, in seconds (10 unless told).
        """
        self._closed = False
        self._watches = WeakSet[Watch]()
        #: Held while watches are added or counted: threads open them while another one closes the client.
        self._opening = threading.Lock()
        settings = Settings.of(target, token, tls_ca, timeout)
        self.target = settings.target
        #: Default deadline of a call, in seconds.
        self.timeout = settings.timeout
        self.channel = connect(
            settings.target,
            token=settings.token,
            tls_ca=settings.certificates,
            interceptors=interceptors,
        )
        #: The generated stubs over the same channel: no default deadline, no retries, grpc's own errors.
        self.stub = RunServiceStub(self.channel)
        self.admin_stub = AdminServiceStub(self.channel)

    def close(self) -> None:
        """Close the connection; calls and watches under way fail as CANCELLED."""
        self._closed = True
        # Before the channel: old releases of grpcio do not survive that a stream outlives it.
        with self._opening:
            watches = tuple(self._watches)
        for watch in watches:
            watch.drop()
        self.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(
        self,
        method: grpc.UnaryUnaryMultiCallable[_Request, _Answer],
        request: _Request,
        timeout: float | None,
    ) -> _Answer:
        attempts = Attempts(request, self.timeout if timeout is None else timeout)
        while True:
            try:
                return method(request, timeout=attempts.left())
            except grpc.RpcError as failure:
                error = error_of(failure)
                pause = attempts.pause(error)
                if pause is None:
                    raise error from failure
            time.sleep(pause)

    def _open_stream(self, request: StreamStatusRequest) -> Iterator[StreamStatusResponse]:
        if self._closed:
            raise RunError(grpc.StatusCode.CANCELLED, message="The client is closed.")
        return self.stub.StreamStatus(request)
