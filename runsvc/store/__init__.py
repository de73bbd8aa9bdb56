"""Storage of runs and of their change log: the contract (base, queries, attachments) and its engines."""

from __future__ import annotations
