"""The principal of a call: who calls, for which owner, and in which roles."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime


class Role(Enum):
    """What a principal may do. The value is the name in files and claims."""

    #: Everything of RunService on the runs of its owner.
    USER = "user"
    #: Reads of RunService on the runs of its owner.
    READER = "reader"
    #: An executor: reads and reports.
    WORKER = "worker"
    #: Everything of RunService.
    SERVICE = "service"
    #: Everything, AdminService included.
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls. One object serves every call of a credential."""

    name: str
    roles: frozenset[Role]
    #: The one owner whose runs exist for it; None is every owner.
    owner: str | None
    #: The end of the credential, in UTC; None if it has none.
    expires_at: datetime | None = None
    #: The method that proved it: "token", "jwt" or "certificate"; empty without authentication.
    via: str = ""


#: Every caller of a server without authentication.
PLATFORM: Final = Principal("", frozenset({Role.SERVICE, Role.ADMIN}), None)
