"""Values and rules of a run. Pure: no I/O and no clock."""

from __future__ import annotations
