"""Unix sockets to listen on: their path, sockets that a crash left behind, and who may connect."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runsvc.core.errors import ListenRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEME: Final = "unix:"
#: The longest path that the system takes, in bytes.
_LONGEST: Final = 107
#: Only the user of the server may connect.
_UMASK: Final = 0o177


def is_unix(listen: str) -> bool:
    """Whether an address is a unix socket."""
    return listen.startswith(SCHEME)


def check(listen: str) -> None:
    """Refuse a path that no socket can have. ListenRefused."""
    path = path_of(listen)
    if not hasattr(socket, "AF_UNIX"):
        raise ListenRefused(listen, "this system has no unix sockets")
    if not path.name:
        raise ListenRefused(listen, "write it as unix:PATH, such as unix:/run/runsvc/runsvc.sock")
    if len(os.fsencode(path)) > _LONGEST:
        raise ListenRefused(listen, f"the path is longer than {_LONGEST} bytes")


def cause_of_refusal(listen: str) -> str | None:
    """Why a path cannot be bound; None if it can. A socket that no server uses any more is no obstacle."""
    path = path_of(listen)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None if path.parent.is_dir() else f"the folder {path.parent} does not exist"
    except OSError as error:
        return error.strerror or str(error)
    if not stat.S_ISSOCK(mode):
        return "a file of that name exists, and is no socket: choose another path"
    if _answers(path):
        return "it is in use: choose another path with --listen or RUNSVC_SERVE_LISTEN"
    return None


@contextmanager
def for_owner_only() -> Iterator[None]:
    """Within the block, a socket that is bound has mode 0600 from the beginning."""
    before = os.umask(_UMASK)
    try:
        yield
    finally:
        os.umask(before)


def path_of(listen: str) -> Path:
    """The path in an address: unix:relative, unix:/absolute or unix:///absolute."""
    return Path(listen.removeprefix(SCHEME).removeprefix("//"))


def _answers(path: Path) -> bool:
    """Whether a process listens on a socket, or may do so."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(path)) != errno.ECONNREFUSED
