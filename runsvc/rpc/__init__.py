"""The transport: gRPC in, one call to the rules below, gRPC out."""

from __future__ import annotations
