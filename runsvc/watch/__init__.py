"""What watchers receive, and how changes reach them."""

from __future__ import annotations
