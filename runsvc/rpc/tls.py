"""TLS of the server. Connections that begin after a change of the files use the new ones."""

from __future__ import annotations

import logging
import os
import stat
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import grpc

from runsvc.reloaded import Reloaded, mode_of
from runsvc.rpc.tls_files import TlsMaterial, check

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.rpc.tls_files import TlsPaths

logger = logging.getLogger(__name__)

#: How long before its end a certificate is reported, and how often.
SOON: Final = timedelta(days=14)
OFTEN: Final = timedelta(days=1)
#: Seconds before a change in which handshakes that have asked for the configuration begin to use it. That takes
#: microseconds.
_SETTLE: Final = 0.05


class Tls:
    """The server's side of TLS 1.2 and 1.3. Certificate, key and client CA change together."""

    def __init__(
        self, paths: TlsPaths, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Read the files. FileRefused."""
        self._paths = paths
        self._now = now
        self._files = Reloaded[TlsMaterial](paths.all, partial(check, paths))
        self._configuration = _configuration(self._files.value)
        self._reported: datetime | None = None
        if os.name == "posix" and mode_of(paths.key) & stat.S_IROTH:
            logger.warning("Every user of this machine can read %s; use mode 0600.", paths.key)

    @property
    def needs_certificates(self) -> bool:
        """Whether every client needs a certificate."""
        return self._paths.client_ca is not None

    def credentials(self) -> grpc.ServerCredentials:
        """The credentials of one address: each notices a change by itself, once."""
        present = self._configuration
        changes = Changes(lambda: self._configuration, present)
        # The types of grpc leave out None, which its documentation has.
        fetch = cast("Callable[[], grpc.ServerCertificateConfiguration]", changes)
        return grpc.dynamic_ssl_server_credentials(present, fetch, self.needs_certificates)

    async def reload(self) -> None:
        """Take over changed files. FileRefused for bad ones; the last good ones stay."""
        if await self._files.reload():
            self._configuration = _configuration(self._files.value)
            self._reported = None
            logger.info("TLS uses the changed files of %s.", self._paths.cert)
        self._report_end()

    def _report_end(self) -> None:
        """Log the end of the certificate: once, and each day when it is near."""
        end, now = self._files.value.expires_at, self._now()
        last, self._reported = self._reported, self._reported or now
        if now >= end - SOON and (last is None or now >= last + OFTEN):
            self._reported = now
            verb = "ended" if now >= end else "ends"
            logger.warning("The certificate in %s %s at %s.", self._paths.cert, verb, _text(end))
        elif last is None:
            logger.info("The certificate in %s ends at %s.", self._paths.cert, _text(end))


class Changes:
    """What gRPC asks for before each handshake, one at a time: a new configuration, or None without a change."""

    def __init__(
        self,
        present: Callable[[], grpc.ServerCertificateConfiguration],
        used: grpc.ServerCertificateConfiguration,
    ) -> None:
        self._present = present
        self._used = used

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        if (present := self._present()) is self._used:
            return None
        # gRPC frees the former configuration, also while a handshake that has asked before begins to use it
        # (https://github.com/grpc/grpc/issues/36693). Until this returns, no further one asks.
        time.sleep(_SETTLE)
        self._used = present
        return present


def _configuration(material: TlsMaterial) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.chain)], root_certificates=material.client_ca
    )


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
