"""The use-cases: what a call does, apart from how it came."""

from __future__ import annotations
