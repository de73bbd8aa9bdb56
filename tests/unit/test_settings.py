"""Limits of the settings."""

from __future__ import annotations

import math
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runsvc.settings import Settings


def settings(**given: Any) -> Settings:
    return Settings(listen="127.0.0.1:0", db=Path("runs.db"), **given)


@pytest.mark.parametrize("name", ["log_keep_age", "retain_runs"])
def test_lengths_of_time_are_at_most_a_century(name: str) -> None:
    century = timedelta(days=36_500)
    assert getattr(settings(**{name: century}), name) == century
    for length in (century + timedelta(microseconds=1), -timedelta(microseconds=1)):
        with pytest.raises(ValueError, match=f"{name} must be 0 to 36500 days"):
            settings(**{name: length})


@pytest.mark.parametrize("name", ["attach_grace", "reconnect_grace", "grace"])
def test_waits_are_at_most_a_day(name: str) -> None:
    for seconds in (0, 0.0, 1e-9, 86_400):
        assert getattr(settings(**{name: seconds}), name) == seconds
    for seconds in (-1, -1e-9, 86_400.1, 1e300, sys.maxsize, math.inf, -math.inf, math.nan):
        with pytest.raises(ValueError, match=f"{name} must be 0 to 86400 seconds"):
            settings(**{name: seconds})


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, 1e300])
def test_compaction_needs_a_pause(seconds: float) -> None:
    with pytest.raises(ValueError, match="compaction_interval must be above 0"):
        settings(compaction_interval=seconds)
    assert settings(compaction_interval=0.05).compaction_interval == 0.05


@pytest.mark.parametrize("name", ["log_keep", "max_active_per_thread"])
def test_counts_are_at_least_one(name: str) -> None:
    assert getattr(settings(**{name: 2**63}), name) == 2**63
    for count in (0, -1):
        with pytest.raises(ValueError, match=f"{name} must be at least 1"):
            settings(**{name: count})


def test_orphans_are_kept_or_failed() -> None:
    with pytest.raises(ValueError, match="keep"):
        settings(orphans="Fail")


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ("tls_cert", "--tls-key"),
        ("tls_key", "--tls-cert"),
        ("tls_client_ca", "--tls-cert"),
        ("auth_certs", "--tls-client-ca"),
        ("auth_jwks", "--auth-issuer"),
        ("auth_issuer", "--auth-jwks"),
        ("auth_audience", "--auth-jwks"),
    ],
)
def test_some_settings_need_another(given: str, needed: str) -> None:
    with pytest.raises(ValueError, match=f"--{given.replace('_', '-')} needs {needed}"):
        settings(**{given: "x"})
    with pytest.raises(ValueError, match="--auth-jwks needs --auth-audience"):
        settings(auth_jwks="x", auth_issuer="x")
