"""Permissions: which roles may call which method. The one table of authorization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runsvc.auth.principal import Role
from runsvc.core.errors import PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runsvc.auth.principal import Principal

Roles = frozenset[Role]

_READ: Final = frozenset({Role.USER, Role.READER, Role.WORKER, Role.SERVICE, Role.ADMIN})
_REPORT: Final = frozenset({Role.USER, Role.WORKER, Role.SERVICE, Role.ADMIN})
_CHANGE: Final = frozenset({Role.USER, Role.SERVICE, Role.ADMIN})
_ADMINISTER: Final = frozenset({Role.ADMIN})

#: The roles that may call each method, by service. A principal needs one of them.
TABLE: Final[Mapping[str, Mapping[str, Roles]]] = {
    "runsvc.v1.RunService": {
        "Create": _CHANGE,
        "CreateOrReject": _CHANGE,
        "Get": _READ,
        "ListByThread": _READ,
        "HasInflight": _READ,
        "StreamStatus": _READ,
        "SetStatus": _REPORT,
        "Complete": _REPORT,
        "UpdateProgress": _REPORT,
        "UpdateModelName": _REPORT,
        "UpdateMetadata": _REPORT,
        "Heartbeat": _REPORT,
        "AcknowledgeCancel": _REPORT,
        "Claim": _REPORT,
        "Release": _REPORT,
        "Cancel": _CHANGE,
    },
    "runsvc.v1.AdminService": {
        "ReconcileOrphans": _ADMINISTER,
        "Delete": _ADMINISTER,
        "SetConcurrencyLimit": _ADMINISTER,
        "ListConcurrencyLimits": _ADMINISTER,
        "GetServerInfo": _ADMINISTER,
    },
}
#: Services that need no principal: probes of load balancers, and descriptions that are public.
OPEN: Final = frozenset(
    {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "grpc.reflection.v1.ServerReflection",
    }
)


def roles_of(service: str, method: str) -> Roles | None:
    """The roles that may call a method; None for everyone. Raise LookupError for a method without a row."""
    if service in OPEN:
        return None
    try:
        return TABLE[service][method]
    except KeyError as error:
        raise LookupError(f"{service}/{method} has no row in runsvc.auth.permissions") from error


def check_role(principal: Principal, needed: Roles, method: str) -> None:
    """Raise PermissionDenied unless a principal has one of the roles that a method needs."""
    if principal.roles.isdisjoint(needed):
        names = ", ".join(role.value for role in Role if role in needed)
        raise PermissionDenied(f"{method} needs one of the roles {names}")
