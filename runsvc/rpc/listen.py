"""Addresses to listen on: their form, their reach, and the cause when one cannot be bound."""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import TYPE_CHECKING, Final

from runsvc.core.errors import ListenRefused
from runsvc.rpc import unix_socket
from runsvc.rpc.unix_socket import is_unix

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc

    from runsvc.rpc.tls import Tls

_MAX_PORT: Final = 65_535

_FORM: Final = "write it as HOST:PORT, such as 127.0.0.1:50051, or as unix:PATH"
_REACHED: Final = (
    "other machines can reach it and nothing is encrypted: set --tls-cert and --tls-key, listen on 127.0.0.1 or "
    "unix:PATH, or add --insecure-listen"
)
_UNRESOLVED: Final = f"the host name does not resolve: {_FORM}"
_CAUSES: Final = {
    errno.EADDRINUSE: "it is in use: choose another with --listen or RUNSVC_SERVE_LISTEN; 127.0.0.1:0 picks a free one",
    errno.EADDRNOTAVAIL: "it is not an address of this machine: choose another, such as --listen 127.0.0.1:0",
    errno.EACCES: "this user may not open the port: choose one above 1023, such as --listen 127.0.0.1:50051",
}


def addresses(listen: str) -> list[str]:
    """The addresses in a list with commas."""
    return [each.strip() for each in listen.split(",")]


def check_listen(listen: str, *, insecure: bool) -> None:
    """Refuse a malformed address, and one that other machines can reach unless `insecure`. Raise ListenRefused."""
    if is_unix(listen):
        return unix_socket.check(listen)
    host, port = split(listen)
    if not host or not (port.isascii() and port.isdecimal()):
        raise ListenRefused(listen, _FORM)
    # The transport would take the port modulo 65536.
    if int(port) > _MAX_PORT:
        raise ListenRefused(listen, f"the port must be 0 to {_MAX_PORT}")
    if not insecure and not _is_loopback(host):
        if not _addresses(host):
            raise ListenRefused(listen, _UNRESOLVED)
        raise ListenRefused(listen, _REACHED)
    return None


def check_free(listen: str) -> None:
    """Refuse an address that cannot be bound, before anything else is opened. ListenRefused with the cause."""
    cause = _cause(listen)
    if cause is not None:
        raise ListenRefused(listen, cause)


def split(listen: str) -> tuple[str, str]:
    """Host and port of an address."""
    host, _, port = listen.rpartition(":")
    return host, port


def bind_all(server: grpc.aio.Server, listen: Sequence[str], tls: Tls | None) -> list[str]:
    """Bind addresses; return them with the ports that were bound. ListenRefused with the cause."""
    return [bind(server, each, tls) for each in listen]


def bind(server: grpc.aio.Server, listen: str, tls: Tls | None = None) -> str:
    """Bind an address, with TLS unless it is a unix socket. ListenRefused with the cause."""
    try:
        if is_unix(listen):
            with unix_socket.for_owner_only():
                server.add_insecure_port(listen)
            return listen
        port = (
            server.add_secure_port(listen, tls.credentials())
            if tls
            else server.add_insecure_port(listen)
        )
    except RuntimeError as error:
        # It may have become free in the meantime.
        raise ListenRefused(listen, _cause(listen) or _CAUSES[errno.EADDRINUSE]) from error
    return f"{split(listen)[0]}:{port}"


def _cause(listen: str) -> str | None:
    """Why an address cannot be bound; None if it can. The transport writes the cause to its own log only.

    A name with several addresses can be bound if one of them can.
    """
    if is_unix(listen):
        return unix_socket.cause_of_refusal(listen)
    host, port = split(listen)
    cause: str | None = _UNRESOLVED
    for family, address in _addresses(host):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                # As the transport does: recently closed connections are no obstacle.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, int(port)))
        except OSError as error:
            cause = _CAUSES.get(error.errno or 0, error.strerror or str(error))
        else:
            return None
    return cause


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """The addresses of a host name; none if it does not resolve."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [(family, str(address[0])) for family, _, _, _, address in found]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
