"""Limits of the settings."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runsvc.settings import Settings


def settings(**told: Any) -> Settings:
    return Settings(listen="127.0.0.1:0", db=Path("runs.db"), **told)


@pytest.mark.parametrize("name", ["log_keep_age", "retain_runs"])
def test_lengths_of_time_are_at_most_a_century(name: str) -> None:
    century = timedelta(days=36_500)
    assert getattr(settings(**{name: century}), name) == century
    for length in (century + timedelta(microseconds=1), -timedelta(microseconds=1)):
        with pytest.raises(ValueError, match=f"{name} must be 0 to 36500 days"):
            settings(**{name: length})
