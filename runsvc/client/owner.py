"""The owner to which a client narrows its calls, as metadata."""

from __future__ import annotations

import re
from typing import Final

#: Metadata of a call.
Metadata = tuple[tuple[str, str], ...]

_KEY: Final = "runsvc-owner"
_FORM: Final = re.compile(r"[!-~]{0,128}")


def owner_metadata(owner: str) -> Metadata:
    """Return the metadata of a call for one owner. Raise ValueError for a name that no owner can have."""
    if not _FORM.fullmatch(owner):
        raise ValueError(
            "owner must be at most 128 printable ASCII characters without spaces; empty is the platform itself"
        )
    return ((_KEY, owner),)
