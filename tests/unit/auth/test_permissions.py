"""The table of permissions, and the caller of a call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.auth.caller import OWNER_KEY, Caller, caller_of
from runsvc.auth.permissions import OPEN, TABLE, check_role, roles_of
from runsvc.auth.principal import PLATFORM, Principal, Role
from runsvc.core.errors import InvalidRequest, PermissionDenied
from runsvc.rpc.connections import Connections
from runsvc.rpc.guard import Guard

if TYPE_CHECKING:
    from runsvc.core.owners import Scope

ANN = Principal("ann", frozenset({Role.USER}), "a")
GATE = Principal("gate", frozenset({Role.SERVICE}), None)


def sent(*owners: str) -> list[tuple[str, str]]:
    return [("x-other", "b"), *((OWNER_KEY, owner) for owner in owners)]


def test_every_role_but_admin_is_kept_from_administration() -> None:
    for roles in TABLE["runsvc.v1.AdminService"].values():
        assert roles == {Role.ADMIN}
    for roles in TABLE["runsvc.v1.RunService"].values():
        assert {Role.USER, Role.SERVICE, Role.ADMIN} <= roles


def test_the_table_follows_the_roles() -> None:
    may = {
        role: {name for name, roles in TABLE["runsvc.v1.RunService"].items() if role in roles}
        for role in Role
    }
    reads = {"Get", "ListByThread", "HasInflight", "StreamStatus"}
    assert may[Role.READER] == reads
    assert may[Role.WORKER] - reads == {
        "SetStatus",
        "Complete",
        "UpdateProgress",
        "UpdateModelName",
        "UpdateMetadata",
        "Heartbeat",
        "AcknowledgeCancel",
        "Claim",
        "Release",
    }
    assert may[Role.USER] == may[Role.SERVICE] == may[Role.ADMIN]


def test_a_server_with_a_method_without_a_row_does_not_start() -> None:
    guard = Guard(Connections(1, 1, lambda: 0.0))
    handlers: Any = {"New": None}
    with pytest.raises(LookupError, match=r"runsvc\.v1\.RunService/New has no row"):
        guard.add_registered_method_handlers("runsvc.v1.RunService", handlers)
    with pytest.raises(LookupError):
        roles_of("another.Service", "Get")


def test_health_and_reflection_need_no_principal() -> None:
    assert {roles_of(service, "Any") for service in OPEN} == {None}


def test_a_principal_needs_one_of_the_roles() -> None:
    check_role(ANN, frozenset({Role.USER, Role.ADMIN}), "Get")
    with pytest.raises(PermissionDenied, match="Delete needs one of the roles worker, admin"):
        check_role(ANN, frozenset({Role.ADMIN, Role.WORKER}), "Delete")


@pytest.mark.parametrize(
    ("principal", "owners", "scope", "owner"),
    [
        (PLATFORM, (), None, ""),
        (PLATFORM, ("",), "", ""),
        (PLATFORM, ("a",), "a", "a"),
        (GATE, (), None, ""),
        (GATE, ("b",), "b", "b"),
        (ANN, (), "a", "a"),
        (ANN, ("a",), "a", "a"),
    ],
)
def test_the_scope_of_a_call(
    principal: Principal, owners: tuple[str, ...], scope: Scope, owner: str
) -> None:
    assert caller_of(principal, sent(*owners)) == Caller(principal, scope, owner)


@pytest.mark.parametrize("owner", ["b", "", "A"])
def test_another_owner_than_that_of_the_credential_is_refused(owner: str) -> None:
    with pytest.raises(PermissionDenied) as caught:
        caller_of(ANN, sent(owner))
    # It names neither of them: the text may be shown to others.
    assert "'a'" not in str(caught.value)


@pytest.mark.parametrize("owners", [("a", "a"), ("a b",), ("x" * 129,), ("é",)])
def test_an_invalid_entry_is_refused(owners: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        caller_of(PLATFORM, sent(*owners))
    assert [each.field for each in caught.value.violations] == [OWNER_KEY]


def test_the_time_that_a_credential_has_left() -> None:
    assert caller_of(ANN, ()).credential_left() == inf
    ends = datetime.now(UTC) + timedelta(seconds=60)
    brief = Principal("ann", ANN.roles, "a", ends)
    assert 50 < caller_of(brief, ()).credential_left() <= 60
