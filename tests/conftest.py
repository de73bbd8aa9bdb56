"""Settings for every test."""

from __future__ import annotations

from hypothesis import settings

# A busy machine may be slow: the time of an example proves nothing.
settings.register_profile("runsvc", deadline=None)
settings.load_profile("runsvc")
