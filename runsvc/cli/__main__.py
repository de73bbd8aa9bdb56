"""`python -m runsvc.cli`, for environments without the `runsvc` script."""

from __future__ import annotations

from runsvc.cli import main

main(prog_name="runsvc")
