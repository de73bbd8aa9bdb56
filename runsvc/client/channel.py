"""Channels with keepalive, quick reconnects, tokens and TLS."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Final

import grpc

from runsvc.client import bearer
from runsvc.client.reloaded_channel import AsyncReloadedChannel, ReloadedChannel
from runsvc.client.settings import DEFAULT_TARGET, certificates_of, identity_of, token_of
from runsvc.client.tls_files import TlsFiles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from runsvc.client.bearer import AsyncTokenOrFile, TokenOrFile
    from runsvc.client.settings import Certificates

    #: A client interceptor of grpc, for unary calls or for streams.
    Interceptor: TypeAlias = grpc.UnaryUnaryClientInterceptor | grpc.UnaryStreamClientInterceptor

_LOOPBACK: Final = re.compile(r"(dns:///|ipv[46]:)?(127\.|localhost:|\[::1\]:)")

#: A target that stands for several servers: a name that is looked up, or a list of addresses.
_SEVERAL: Final = re.compile(r"dns:|ipv[46]:.*,")

#: Calls and watches are spread over the addresses. An address whose server is not reachable, or reports by
#: grpc.health.v1 that it does not serve, gets none.
_BALANCING: Final = json.dumps(
    {"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}
)

_OPTIONS: Final = (
    # Otherwise channels to one server share a connection, with its limit of calls at a time.
    ("grpc.use_local_subchannel_pool", 1),
    # Detect a frozen peer within about 40 seconds, even on an idle watch.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # Find a restarted server soon: grpc's default pauses grow to two minutes, and calls during a pause fail without an
    # attempt. min_reconnect_backoff_ms is the time limit of one connection attempt.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.min_reconnect_backoff_ms", 5_000),
)


def connect(
    target: str = DEFAULT_TARGET,
    *,
    token: TokenOrFile | None = None,
    tls_ca: Certificates | None = None,
    tls_cert: Certificates | None = None,
    tls_key: Certificates | None = None,
    interceptors: Sequence[Interceptor] = (),
) -> grpc.Channel:
    """Return a channel for threads. It connects with the first call. Close it after use.

    When files for TLS have changed, calls use a new connection.
    """
    every = [*(() if token is None else bearer.interceptors(token_of(token))), *interceptors]
    options = _options(target)

    def secure() -> grpc.Channel:
        credentials = _credentials(tls_ca, tls_cert, tls_key)
        return grpc.secure_channel(target, credentials, options=options)

    files = TlsFiles(tls_ca, tls_cert, tls_key)
    if _is_plain(tls_ca, tls_cert, tls_key):
        channel = grpc.insecure_channel(target, options=options)
    else:
        channel = ReloadedChannel(secure, files) if files.has_files else secure()
    return grpc.intercept_channel(channel, *every) if every else channel


def aconnect(
    target: str = DEFAULT_TARGET,
    *,
    token: AsyncTokenOrFile | None = None,
    tls_ca: Certificates | None = None,
    tls_cert: Certificates | None = None,
    tls_key: Certificates | None = None,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
) -> grpc.aio.Channel:
    """Return a channel for asyncio, created inside the running event loop. Close it after use.

    When files for TLS have changed, calls use a new connection. Raise RuntimeError outside a running event loop.
    """
    running_loop("channel")
    options = _options(target)
    every = [
        *(() if token is None else bearer.async_interceptors(token_of(token))),
        *interceptors,
    ]

    def secure() -> grpc.aio.Channel:
        credentials = _credentials(tls_ca, tls_cert, tls_key)
        return grpc.aio.secure_channel(target, credentials, options=options, interceptors=every)

    files = TlsFiles(tls_ca, tls_cert, tls_key)
    if _is_plain(tls_ca, tls_cert, tls_key):
        return grpc.aio.insecure_channel(target, options=options, interceptors=every)
    return AsyncReloadedChannel(secure, files) if files.has_files else secure()


def _is_plain(
    tls_ca: Certificates | None, tls_cert: Certificates | None, tls_key: Certificates | None
) -> bool:
    """Return whether the connection has no TLS. Raise ValueError for a client's certificate without trusted ones."""
    identity_of(tls_cert, tls_key, tls_ca)
    return tls_ca is None


def running_loop(made: str) -> asyncio.AbstractEventLoop:
    """Return the running event loop, to which something that is made now belongs. Raise RuntimeError without one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            f"No event loop is running. Create the {made} inside a coroutine, such as that of asyncio.run()."
        ) from None


def _credentials(
    tls_ca: Certificates | None, tls_cert: Certificates | None, tls_key: Certificates | None
) -> grpc.ChannelCredentials:
    """Return the credentials of a connection with TLS. Raise ValueError for another kind of file."""
    certificates = certificates_of(tls_ca)
    cert, key = identity_of(tls_cert, tls_key, tls_ca) or (None, None)
    for name, content in (("tls_ca", certificates), ("tls_cert", cert)):
        if content is not None and b"-----BEGIN" not in content:
            raise ValueError(
                f"{name} (RUNSVC_{name.upper()}) holds no certificate in PEM, such as -----BEGIN CERTIFICATE-----"
            )
    return grpc.ssl_channel_credentials(certificates, key, cert)


def _options(target: str) -> tuple[tuple[str, int | str], ...]:
    # A proxy from the environment cannot reach the loopback address of this machine.
    direct = [("grpc.enable_http_proxy", 0)] if _LOOPBACK.match(target) else []
    balancing = [("grpc.service_config", _BALANCING)] if _SEVERAL.match(target) else []
    return (*_OPTIONS, *direct, *balancing)
