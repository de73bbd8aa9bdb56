"""Watches: how committed changes reach the clients that follow runs."""

from __future__ import annotations
