"""The path of every change to the store: commands, batches and the single writer."""

from __future__ import annotations
