"""Protobuf messages to domain values and back, independent of the transport."""

from __future__ import annotations
