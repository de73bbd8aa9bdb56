"""Files that map credentials to principals, one line each.

# name     owner   roles            credential          end
gateway    *       service,worker   sha256:9f86d0…      expires=2027-01-31T00:00:00Z
"""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from runsvc.auth.principal import Principal, Role, Standing, conflict, is_name
from runsvc.core.errors import FileRefused
from runsvc.reloaded import mode_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

K = TypeVar("K")

#: Name, owner and roles: a principal, whatever its credential.
Identity = tuple[str, str | None, frozenset[Role]]

_FORM: Final = "write it as NAME OWNER ROLES CREDENTIAL, or with expires=TIME behind it"
_EXPIRES: Final = "expires="
_ROLES: Final = {role.value: role for role in Role}


class Line(NamedTuple):
    """A line of a file: a credential in its written form, its principal, and where it stands."""

    credential: str
    principal: Principal
    place: str


def parse(path: Path, content: bytes, via: str) -> Iterator[Line]:
    """The lines of a file, without comments and empty ones. FileRefused names the line at fault."""
    if os.name == "posix" and mode_of(path) & (stat.S_IWGRP | stat.S_IWOTH):
        detail = f"other users may write it, and could add themselves: chmod go-w {path}"
        raise FileRefused(str(path), detail)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise FileRefused(str(path), "it is not UTF-8") from error
    standings: dict[Identity, Standing] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            found = _line(f"{path}:{number}", words, via)
            identity = _identity(found.principal)
            standing = standings.setdefault(identity, found.principal.standing)
            yield found._replace(principal=replace(found.principal, standing=standing))


def carried_over(before: Mapping[K, Principal], after: Mapping[K, Principal]) -> dict[K, Principal]:
    """The principals of a changed file, by credential. Those that no line names any more are withdrawn.

    A line that has not changed keeps its principal. A new line of a known principal shares its standing, so that the
    streams of an old credential go on after a rotation.
    """
    known = {_identity(each): each.standing for each in before.values()}
    carried = {
        key: before[key]
        if before.get(key) == principal
        else replace(principal, standing=known.get(_identity(principal), principal.standing))
        for key, principal in after.items()
    }
    named = {_identity(each) for each in carried.values()}
    for principal in before.values():
        principal.standing.is_withdrawn = _identity(principal) not in named
    return carried


def _identity(principal: Principal) -> Identity:
    return principal.name, principal.owner, principal.roles


def form(principal: Principal, credential: str) -> str:
    """The line for a principal and its credential."""
    roles = ",".join(sorted(role.value for role in principal.roles))
    owner = "*" if principal.owner is None else principal.owner
    end = principal.expires_at
    words = (principal.name, owner, roles, credential)
    return " ".join((*words, *((f"{_EXPIRES}{end:%Y-%m-%dT%H:%M:%SZ}",) if end else ())))


def _line(place: str, words: list[str], via: str) -> Line:
    if not 4 <= len(words) <= 5 or (len(words) == 5 and not words[4].startswith(_EXPIRES)):
        raise FileRefused(place, _FORM)
    name, owner, roles, credential, *end = words
    one_owner = None if owner == "*" else owner
    for kind, text in (("name", name), ("owner", one_owner)):
        if text is not None and not is_name(text):
            raise FileRefused(place, f"the {kind} must have 1 to 128 printable ASCII characters")
    given = _roles(place, roles)
    if detail := conflict(given, one_owner):
        raise FileRefused(place, detail)
    expires_at = _time(place, end[0].removeprefix(_EXPIRES)) if end else None
    return Line(credential, Principal(name, given, one_owner, expires_at, via), place)


def _roles(place: str, text: str) -> frozenset[Role]:
    names = text.split(",")
    for name in names:
        if name not in _ROLES:
            raise FileRefused(place, f"the roles are {', '.join(_ROLES)}, with commas between them")
    return frozenset(_ROLES[name] for name in names)


def _time(place: str, text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise FileRefused(place, "write the end as expires=2027-01-31T00:00:00Z, with a time zone")
    return time.astimezone(UTC)
