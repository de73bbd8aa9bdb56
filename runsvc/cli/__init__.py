"""The command line: the server, and every call of a client."""

from __future__ import annotations

import os

# The transport's own log lines: what they tell we say in sentences. It reads the variable when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from runsvc.cli.program import main

__all__ = ["main"]
