"""The command line: `runsvc serve`, and one command per call of the client."""

from __future__ import annotations

import os

# Silence grpc's log: failures are reported as sentences. grpc reads the variable on import.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from runsvc.cli.program import main

__all__ = ["main"]
