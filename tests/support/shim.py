"""A library in C that makes the disk of another process fail (see shim.c)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_name("shim.c")


def build(folder: Path) -> dict[str, str]:
    """Compile the library and return the environment that loads it. Skip the test where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        reason = "needs a C compiler (cc) on Linux"
        if os.environ.get("RUNSVC_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    library = folder / "shim.so"
    arguments = ("-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(_SOURCE))
    subprocess.run([compiler, *arguments], check=True)
    return {"LD_PRELOAD": str(library)}
