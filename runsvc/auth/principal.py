"""The principal of a call: who calls, for which owner, and in which roles."""

from __future__ import annotations

from dataclasses import dataclass, field
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


class Standing:
    """Whether a principal is still listed. Its credentials share it."""

    __slots__ = ("is_withdrawn",)

    def __init__(self) -> None:
        self.is_withdrawn = False


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
    #: Changes when no line names the principal any more.
    standing: Standing = field(default_factory=Standing, compare=False, repr=False)


#: Every caller of a server without authentication.
PLATFORM: Final = Principal("", frozenset({Role.SERVICE, Role.ADMIN}), None)

#: The most characters of a name and of an owner.
LONGEST: Final = 128


def is_name(text: str) -> bool:
    """Whether a text can be a name or an owner: 1 to 128 printable ASCII characters without a space, except `*` alone.

    Identity providers have names such as auth0|5f7c8e, and metadata carries ASCII only.
    """
    return 0 < len(text) <= LONGEST and text != "*" and all("!" <= each <= "~" for each in text)


def conflict(roles: frozenset[Role], owner: str | None) -> str:
    """Why roles cannot have an owner; empty if they can. A clear text for the file or the token that gives both."""
    if owner is None and roles & {Role.USER, Role.READER}:
        return "the roles user and reader need one owner, not *"
    if owner is not None and Role.ADMIN in roles:
        return "the role admin is for every owner: write * as its owner"
    return ""
