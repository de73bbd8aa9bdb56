"""Files that map credentials to principals, one line each.

# name     owner   roles            credential          end
gateway    *       service,worker   sha256:9f86d0…      expires=2027-01-31T00:00:00Z
"""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from runsvc.auth.principal import Principal, Role, conflict, is_name
from runsvc.core.errors import FileRefused
from runsvc.reloaded import mode_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

K = TypeVar("K")

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
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            yield _line(f"{path}:{number}", words, via)


def carried_over(before: Mapping[K, Principal], after: Mapping[K, Principal]) -> dict[K, Principal]:
    """The principals of a changed file, by credential. Those of lines that it no longer has are withdrawn.

    A line that has not changed keeps its principal, which serves the open streams of the credential as well.
    """
    for key, principal in before.items():
        if after.get(key) != principal:
            principal.standing.is_withdrawn = True
    return {
        key: before[key] if before.get(key) == principal else principal
        for key, principal in after.items()
    }


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
