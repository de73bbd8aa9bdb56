"""Owners: the form of their names, and the scope of a call."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

#: The runs that exist for a call: those of one owner, or of every owner (None).
Scope: TypeAlias = str | None

#: The form of an owner: printable ASCII without spaces. The empty name is the platform itself.
FORM: Final = re.compile(r"[!-~]{0,128}")
FORM_RULE: Final = "must be at most 128 printable ASCII characters without spaces"


def covers(scope: Scope, owner: str) -> bool:
    """True if the runs of an owner exist for a call with this scope."""
    return scope is None or scope == owner
