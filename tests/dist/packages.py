"""The packages that `make dist` built, and the commands that install and use them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from release import version

ROOT = version.ROOT
DIST = ROOT / "dist"
PROGRAMS = Path(__file__).parent / "programs"
VERSION = version.current()
WHEEL = f"runsvc-{VERSION}-py3-none-any.whl"

#: The longest time in seconds that a command may take: it may download and compile dependencies.
LIMIT = 900
#: Variables of the calling `make` and of its environment for Python, which an installation must not depend on.
_DROPPED = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTHONPATH", "VIRTUAL_ENV")


def package(language: str, name: str) -> Path:
    """A file or folder below dist/<language>.

    Skips the test where it is missing, because the toolchain was; fails it if RUNSVC_REQUIRE_ALL is 1.
    """
    path = DIST / language / name
    if not path.exists():
        message = f"{path.relative_to(ROOT)} is missing. Install the toolchain of {language}, then run make test-dist."
        if os.environ.get("RUNSVC_REQUIRE_ALL") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return path


def environment(**variables: str) -> dict[str, str]:
    """The environment of a command that knows nothing of this repository."""
    kept = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    return kept | variables


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Run a command to its end, and return its standard output. Fails with all of its output otherwise."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    shown = " ".join(map(str, command))
    assert done.returncode == 0, (
        f"{shown}\nexit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    return done.stdout


class Venv:
    """A new virtual environment with one requirement."""

    def __init__(self, folder: Path, requirement: str) -> None:
        self.bin = folder / "bin"
        run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
        run(self.bin / "pip", "install", "--quiet", requirement, cwd=folder.parent)

    def files(self) -> dict[str, bytes]:
        """The content of every installed file of the package, by its path from site-packages."""
        (packages,) = (self.bin.parent / "lib").glob("python3.*/site-packages")
        return {
            str(path.relative_to(packages)): path.read_bytes()
            for path in (packages / "runsvc").rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
