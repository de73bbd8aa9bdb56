"""The client: a channel with sound options, the generated stubs, and errors that programs can branch on.

with connect() as channel:
    try:
        RunServiceStub(channel).Get(GetRequest(run_id=run_id), timeout=10)
    except grpc.RpcError as failure:
        print(error_of(failure).reason)
"""

from __future__ import annotations

import re
from typing import Final

import grpc

from runsvc.client.error import RunError, Violation, error_of
from runsvc.v1.admin_service_pb2_grpc import AdminServiceStub
from runsvc.v1.run_service_pb2_grpc import RunServiceStub

__all__ = [
    "DEFAULT_TARGET",
    "AdminServiceStub",
    "RunError",
    "RunServiceStub",
    "Violation",
    "aconnect",
    "connect",
    "error_of",
]

#: Where `runsvc serve` listens unless told otherwise.
DEFAULT_TARGET: Final = "127.0.0.1:50051"

_LOOPBACK: Final = re.compile(r"(dns:///|ipv[46]:)?(127\.|localhost:|\[::1\]:)")

#: A peer that froze is noticed within some 40 seconds, also by a watch that nothing happens on.
_OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
)


def connect(target: str = DEFAULT_TARGET) -> grpc.Channel:
    """A channel for threads. It connects with the first call; close it when done."""
    return grpc.insecure_channel(target, options=_options(target))


def aconnect(target: str = DEFAULT_TARGET) -> grpc.aio.Channel:
    """A channel for asyncio, made inside the running loop. It connects with the first call; close it when done."""
    return grpc.aio.insecure_channel(target, options=_options(target))


def _options(target: str) -> tuple[tuple[str, int], ...]:
    # A proxy that the environment names cannot reach this machine's loopback: it has one of its own.
    return (*_OPTIONS, ("grpc.enable_http_proxy", 0)) if _LOOPBACK.match(target) else _OPTIONS
