"""Request ids: the name of a call in the log and in errors, from its client or generated."""

from __future__ import annotations

import re
from itertools import count
from secrets import token_hex
from typing import Any, Final

#: The metadata entry of a request id, in both directions.
KEY: Final = "x-request-id"

_PRINTABLE: Final = re.compile(r"[ -~]{1,128}")


class RequestIds:
    """Generates ids that are unique among servers and restarts, at next to no cost."""

    def __init__(self) -> None:
        self._prefix = token_hex(4)
        self._numbers = count(1)

    def of(self, context: Any) -> str:
        """The client's request id if it is printable and at most 128 characters, else a new one."""
        for key, value in context.invocation_metadata():
            if key == KEY and _PRINTABLE.fullmatch(value):
                return str(value)
        return f"{self._prefix}-{next(self._numbers):x}"
