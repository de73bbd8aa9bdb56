"""The caller of one call: its principal, and whose runs exist for the call."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.auth.principal import PLATFORM, Principal
from runsvc.core.errors import InvalidRequest, PermissionDenied, Violation
from runsvc.core.owners import FORM, FORM_RULE

if TYPE_CHECKING:
    from runsvc.auth.authenticator import Metadata
    from runsvc.core.owners import Scope

#: The metadata entry that narrows a call to one owner.
OWNER_KEY: Final = "runsvc-owner"


class Caller(NamedTuple):
    """Who makes a call, and its scope."""

    principal: Principal
    #: The runs that exist for calls on one run, across threads and on all runs.
    scope: Scope
    #: The owner of the threads that the call names, and of the run that it creates.
    owner: str

    @property
    def name(self) -> str:
        """The name of the principal, empty without authentication."""
        return self.principal.name

    def credential_left(self) -> float:
        """Seconds until the credential ends, 0 once it is withdrawn; infinity if it does not end."""
        if self.principal.standing.is_withdrawn:
            return 0.0
        end = self.principal.expires_at
        return inf if end is None else (end - datetime.now(UTC)).total_seconds()


_PLATFORM_CALLER: Final = Caller(PLATFORM, None, "")


def caller_of(principal: Principal, metadata: Metadata) -> Caller:
    """The caller of a call. Raise PermissionDenied for an owner that is not the principal's, InvalidRequest."""
    wanted = _wanted_owner(metadata)
    if wanted is None:
        if principal is PLATFORM:
            return _PLATFORM_CALLER
        return Caller(principal, principal.owner, principal.owner or "")
    if principal.owner is not None and wanted != principal.owner:
        raise PermissionDenied(f"its credential is for one owner, and not for the {OWNER_KEY} sent")
    return Caller(principal, wanted, wanted)


def _wanted_owner(metadata: Metadata) -> str | None:
    """The owner to which the call narrows itself; None if it does not."""
    wanted: str | None = None
    for key, value in metadata:
        if key == OWNER_KEY:
            if wanted is not None:
                raise InvalidRequest((Violation(OWNER_KEY, "is sent several times"),))
            if not (isinstance(value, str) and FORM.fullmatch(value)):
                raise InvalidRequest((Violation(OWNER_KEY, FORM_RULE),))
            wanted = value
    return wanted
