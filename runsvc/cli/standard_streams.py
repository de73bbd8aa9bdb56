"""Standard streams that the parent process closed."""

from __future__ import annotations

import os
import sys
from typing import Final

#: Descriptors of stdin, stdout and stderr, with the names of Python's streams and their modes.
_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_closed_streams() -> None:
    """Open /dev/null in place of each closed standard stream.

    Otherwise the next file or connection gets the descriptor of a standard stream: messages for a person would be
    written into the store, and libraries refuse to close such a descriptor.
    """
    for descriptor, (name, mode) in enumerate(_STREAMS):
        if not _is_open(descriptor):
            _open_null(descriptor)
            if getattr(sys, name) is None:
                stream = open(descriptor, mode, closefd=False, encoding="utf-8")  # noqa: SIM115
                setattr(sys, name, stream)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _open_null(descriptor: int) -> None:
    opened = os.open(os.devnull, os.O_RDWR)
    if opened != descriptor:
        os.dup2(opened, descriptor)
        os.close(opened)
