"""Where the server is and how to speak to it: from arguments, and from the environment where these are left out."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from typing import TypeAlias


class _Environment(Enum):
    ENVIRONMENT = "as the environment says"


#: An argument that was left out. An explicit None is a value, and switches the environment off.
ENVIRONMENT: Final = _Environment.ENVIRONMENT
FromEnvironment: TypeAlias = Literal[_Environment.ENVIRONMENT]

#: A file of trusted certificates in PEM, or what such a file holds.
Certificates: TypeAlias = str | os.PathLike[str] | bytes

#: Where `runsvc serve` listens unless told otherwise.
DEFAULT_TARGET: Final = "127.0.0.1:50051"
#: Seconds that a call may take unless told otherwise.
DEFAULT_TIMEOUT: Final = 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a client is made from."""

    target: str
    #: What stands behind "Bearer", or a function that returns it. None: no token is sent.
    token: Any = field(repr=False)
    #: The certificates that the server's must lead to, in PEM. None: no TLS.
    certificates: bytes | None
    #: Deadline of a call, in seconds.
    timeout: float

    @classmethod
    def of(
        cls,
        target: str | FromEnvironment | None,
        token: Any,
        tls_ca: Certificates | FromEnvironment | None,
        timeout: float | FromEnvironment | None,
    ) -> Settings:
        """Arguments where they were given, else RUNSVC_TARGET, _TOKEN, _TLS_CA and _TIMEOUT, else the defaults.

        ValueError for a RUNSVC_TIMEOUT that is no time; OSError for certificates that cannot be read.
        """
        given = _given(target, "RUNSVC_TARGET")
        certificates = _given(tls_ca, "RUNSVC_TLS_CA")
        seconds = _seconds("RUNSVC_TIMEOUT") if timeout is ENVIRONMENT else timeout
        return cls(
            target=DEFAULT_TARGET if given is None else given,
            token=_given(token, "RUNSVC_TOKEN"),
            certificates=certificates_of(certificates),
            timeout=DEFAULT_TIMEOUT if seconds is None else seconds,
        )


def certificates_of(tls_ca: Certificates | None) -> bytes | None:
    """The certificates themselves."""
    if tls_ca is None or isinstance(tls_ca, bytes):
        return tls_ca
    return Path(tls_ca).read_bytes()


def _given(argument: Any, variable: str) -> Any:
    # A variable that is set to nothing is meant to be no variable.
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
        raise ValueError(f"{variable} is {text!r}, which is no number of seconds above 0")
    return seconds
