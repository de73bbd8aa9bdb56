"""Values and rules of a run: pure, without I/O and without a clock."""

from __future__ import annotations
