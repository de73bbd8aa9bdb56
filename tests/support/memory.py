"""Memory of processes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

needs_proc: Final = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="no /proc to read a process's memory from"
)


def resident(pid: int) -> int:
    """The resident memory of a process, in bytes."""
    fields = Path(f"/proc/{pid}/statm").read_text("ascii").split()
    return int(fields[1]) * 4_096
