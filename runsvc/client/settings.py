"""The settings of a client, from arguments and environment variables."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from runsvc.client.lengths import default_deadline

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


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a client."""

    target: str
    #: The bearer token, or a function that returns it. None sends no token.
    token: Any = field(repr=False)
    #: Trusted certificates in PEM. None disables TLS.
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
        """Return the given arguments, else RUNSVC_TARGET, _TOKEN, _TLS_CA and _TIMEOUT, else the defaults.

        Raise ValueError for an invalid timeout, and OSError for certificates that cannot be read.
        """
        given = _given(target, "RUNSVC_TARGET")
        certificates = _given(tls_ca, "RUNSVC_TLS_CA")
        seconds = _seconds("RUNSVC_TIMEOUT") if timeout is ENVIRONMENT else timeout
        return cls(
            target=DEFAULT_TARGET if given is None else given,
            token=_given(token, "RUNSVC_TOKEN"),
            certificates=certificates_of(certificates),
            timeout=DEFAULT_TIMEOUT if seconds is None else default_deadline(seconds),
        )


def certificates_of(tls_ca: Certificates | None) -> bytes | None:
    """Return the content of the certificates."""
    if tls_ca is None or isinstance(tls_ca, bytes):
        return tls_ca
    return Path(tls_ca).read_bytes()


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
