"""runsvc: a durable run service for agent platforms."""

from __future__ import annotations

__version__ = "0.1.0"
