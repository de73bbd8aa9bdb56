"""runsvc: a durable run service for agent platforms."""

from __future__ import annotations

#: The version of every package of a release. `make set-version` writes it here and wherever else it is needed.
__version__ = "0.2.0"
