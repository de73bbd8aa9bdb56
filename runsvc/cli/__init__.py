"""The command line: the server, and every call of a client."""

from __future__ import annotations

from runsvc.cli.program import main

__all__ = ["main"]
