"""The path of every change: commands, batches and the one writer."""

from __future__ import annotations
