"""The gRPC transport: it decodes a call, makes one call to a use-case, and encodes the answer."""

from __future__ import annotations
