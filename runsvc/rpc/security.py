"""The security of a server: the addresses it may listen on, TLS, and authentication."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.auth.methods import Methods
from runsvc.maintenance.sweeper import Job
from runsvc.rpc.listen import addresses, check_free, check_listen

if TYPE_CHECKING:
    from runsvc.auth.authenticator import Authenticator
    from runsvc.rpc.tls import Tls
    from runsvc.settings import Settings

#: The pause between two looks at the files.
INTERVAL: Final = timedelta(seconds=1)


class Security(NamedTuple):
    """Who may connect, and who calls."""

    #: None does not encrypt.
    tls: Tls | None
    #: None takes every caller for the platform.
    authenticator: Authenticator | None
    #: They take over changed files.
    jobs: list[Job]

    @classmethod
    def of(cls, settings: Settings) -> Security:
        """Check the addresses, and read the files that the settings name. ListenRefused, FileRefused."""
        tls = _tls(settings)
        for address in addresses(settings.listen):
            check_listen(address, insecure=settings.insecure_listen or tls is not None)
            check_free(address)
        methods = Methods.of(settings)
        reloads = methods.reloads | ({"Reload of the TLS files": tls.reload} if tls else {})
        jobs = [Job(name, INTERVAL, reload) for name, reload in reloads.items()]
        return cls(tls, methods.authenticator(), jobs)


def _tls(settings: Settings) -> Tls | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    # Imported here only: most servers need no cryptography.
    from runsvc.rpc.tls import Tls
    from runsvc.rpc.tls_files import TlsPaths

    return Tls(TlsPaths(settings.tls_cert, settings.tls_key, settings.tls_client_ca))
