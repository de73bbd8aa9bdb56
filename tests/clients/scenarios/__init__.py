"""The scenarios, with one module per topic."""

from __future__ import annotations

from typing import Final

from tests.clients.scenario import SCENARIOS
from tests.clients.scenarios import (
    attaching,
    calls,
    claims,
    connections,
    credentials,
    inputs,
    leases,
    leaving,
    newer,
    refusals,
    reports,
    resuming,
    retries,
    security,
    servers,
    watches,
    workers,
)

__all__ = ["SCENARIOS", "TOPICS"]

#: The columns of the README's table, and the module behind each.
TOPICS: Final = {
    "calls": calls,
    "errors": refusals,
    "deadlines, retries": retries,
    "watches": watches,
    "resuming": resuming,
    "leaving": leaving,
    "many watches": connections,
    "attaching": attaching,
    "newer servers": newer,
    "tokens, TLS": security,
    "credentials, owners": credentials,
    "leases": leases,
    "executors": workers,
    "ends of runs": reports,
    "inputs, fence": inputs,
    "workers": claims,
    "several servers": servers,
}
