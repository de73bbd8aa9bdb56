"""Changes that the server makes by itself: expiry of runs, cancel of abandoned runs, retention and log compaction."""

from __future__ import annotations
