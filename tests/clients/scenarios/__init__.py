"""What every client can do, topic by topic. The topics are the columns of the README's table."""

from __future__ import annotations

from tests.clients.scenario import SCENARIOS
from tests.clients.scenarios import (
    calls,
    leaving,
    newer,
    refusals,
    resuming,
    retries,
    watches,
    workers,
)

__all__ = [
    "SCENARIOS",
    "calls",
    "leaving",
    "newer",
    "refusals",
    "resuming",
    "retries",
    "watches",
    "workers",
]
