"""`python -m runsvc.cli`, for where the script is not on the path."""

from __future__ import annotations

from runsvc.cli import main

main(prog_name="runsvc")
