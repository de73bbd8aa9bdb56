"""The settings of a client, from arguments and environment variables."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict

from runsvc.client.lengths import default_deadline
from runsvc.client.token_file import TokenFile

if TYPE_CHECKING:
    from typing import TypeAlias


class _Environment(Enum):
    ENVIRONMENT = "from the environment"

    def __repr__(self) -> str:
        return self.name


ENVIRONMENT: Final = _Environment.ENVIRONMENT
"""The default of an argument that is read from its environment variable. None is a value: it ignores the variable."""

FromEnvironment: TypeAlias = Literal[_Environment.ENVIRONMENT]

#: A file of trusted certificates in PEM, or the content of one.
Certificates: TypeAlias = str | os.PathLike[str] | bytes

DEFAULT_TARGET: Final = "127.0.0.1:50051"
"""Default address of `runsvc serve`, and of clients."""

#: Default deadline of a call, in seconds.
DEFAULT_TIMEOUT: Final = 10.0


class TlsArguments(TypedDict):
    """The arguments of a channel for TLS: files in PEM, or their contents."""

    tls_ca: Certificates | None
    tls_cert: Certificates | None
    tls_key: Certificates | None


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a client."""

    target: str
    #: The bearer token, or a function that returns it, such as a TokenFile. None sends no token.
    token: Any = field(repr=False)
    #: Trusted certificates in PEM. None disables TLS.
    certificates: bytes | None
    #: Deadline of a call, in seconds.
    timeout: float
    #: The client's certificate and its key, both in PEM. None sends no certificate.
    identity: tuple[bytes, bytes] | None = field(default=None, repr=False)
    #: The arguments of a channel for TLS, which reads files again when they have changed.
    tls: TlsArguments = field(
        default_factory=lambda: TlsArguments(tls_ca=None, tls_cert=None, tls_key=None),
        repr=False,
        compare=False,
    )

    @classmethod
    def of(
        cls,
        target: str | FromEnvironment | None,
        token: Any,
        tls_ca: Certificates | FromEnvironment | None,
        timeout: float | FromEnvironment | None,
        tls_cert: Certificates | FromEnvironment | None = ENVIRONMENT,
        tls_key: Certificates | FromEnvironment | None = ENVIRONMENT,
    ) -> Settings:
        """Return the given arguments, else the environment variables RUNSVC_TARGET and so on, else the defaults.

        Raise ValueError for an invalid timeout, a file without a token, and a certificate without its key or `tls_ca`.
        Raise OSError for a file that cannot be read.
        """
        given = _given(target, "RUNSVC_TARGET")
        tls = TlsArguments(
            tls_ca=_given(tls_ca, "RUNSVC_TLS_CA"),
            tls_cert=_given(tls_cert, "RUNSVC_TLS_CERT"),
            tls_key=_given(tls_key, "RUNSVC_TLS_KEY"),
        )
        seconds = _seconds("RUNSVC_TIMEOUT") if timeout is ENVIRONMENT else timeout
        return cls(
            target=DEFAULT_TARGET if given is None else given,
            token=_token(token),
            certificates=certificates_of(tls["tls_ca"]),
            timeout=DEFAULT_TIMEOUT if seconds is None else default_deadline(seconds),
            identity=identity_of(tls["tls_cert"], tls["tls_key"], tls["tls_ca"]),
            tls=tls,
        )


def certificates_of(tls_ca: Certificates | None) -> bytes | None:
    """Return the content of the certificates."""
    if tls_ca is None or isinstance(tls_ca, bytes):
        return tls_ca
    return Path(tls_ca).read_bytes()


def identity_of(
    tls_cert: Certificates | None, tls_key: Certificates | None, tls_ca: Certificates | None
) -> tuple[bytes, bytes] | None:
    """Return the content of a client's certificate and of its key. Raise ValueError if one of the three is missing."""
    cert, key = certificates_of(tls_cert), certificates_of(tls_key)
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise ValueError("tls_cert (RUNSVC_TLS_CERT) and tls_key (RUNSVC_TLS_KEY) need each other")
    if tls_ca is None:
        raise ValueError("tls_cert (RUNSVC_TLS_CERT) needs tls_ca (RUNSVC_TLS_CA)")
    return cert, key


def token_of(token: Any) -> Any:
    """Return a token or a token function. A path names a file that holds the token."""
    return TokenFile(token) if isinstance(token, os.PathLike) else token


def _token(token: Any) -> Any:
    if token is ENVIRONMENT:
        file = _given(ENVIRONMENT, "RUNSVC_TOKEN_FILE")
        return _given(ENVIRONMENT, "RUNSVC_TOKEN") or (TokenFile(file) if file else None)
    return token_of(token)


def _given(argument: Any, variable: str) -> Any:
    # An empty variable counts as unset.
    return (os.environ.get(variable) or None) if argument is ENVIRONMENT else argument


def _seconds(variable: str) -> float | None:
    text = os.environ.get(variable)
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(f"{variable} is {text!r}. Set it to a number of seconds greater than 0")
    return seconds
