"""Worker ids that differ for every execution."""

from __future__ import annotations

import os
import re
import secrets
import socket
from typing import Final

#: Characters that a worker id may not hold.
_OTHERS: Final = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_HOST: Final = 80


def new_worker_id() -> str:
    """Return a new worker id: host name, process id and a random part. No other execution has it."""
    host = _OTHERS.sub("-", socket.gethostname())[:_LONGEST_HOST].strip("._-")
    return f"{host or 'host'}-{os.getpid()}-{secrets.token_hex(4)}"
