"""Background work: expiry, attachments, retention and log compaction."""

from __future__ import annotations
