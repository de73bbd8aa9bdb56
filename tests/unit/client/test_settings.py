"""Where a client's settings come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runsvc.client import ENVIRONMENT
from runsvc.client.settings import DEFAULT_TARGET, DEFAULT_TIMEOUT, Settings

if TYPE_CHECKING:
    from pathlib import Path

VARIABLES = ("RUNSVC_TARGET", "RUNSVC_TOKEN", "RUNSVC_TLS_CA", "RUNSVC_TIMEOUT")
DEFAULTS = Settings(DEFAULT_TARGET, None, None, DEFAULT_TIMEOUT)


def settings(**given: Any) -> Settings:
    names = ("target", "token", "tls_ca", "timeout")
    return Settings.of(*(given.get(name, ENVIRONMENT) for name in names))


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Every variable set; the file of certificates that one of them names."""
    file = tmp_path / "ca.pem"
    file.write_bytes(b"CA")
    for name, value in zip(VARIABLES, ("host:1", "secret", str(file), "2.5"), strict=True):
        monkeypatch.setenv(name, value)
    return file


@pytest.mark.usefixtures("environment")
def test_what_is_left_out_comes_from_the_environment() -> None:
    assert settings() == Settings("host:1", "secret", b"CA", 2.5)


@pytest.mark.usefixtures("environment")
def test_what_is_given_counts() -> None:
    given = settings(target="other:2", token="mine", tls_ca=b"PEM", timeout=1.0)
    assert given == Settings("other:2", "mine", b"PEM", 1.0)


@pytest.mark.usefixtures("environment")
def test_none_switches_the_environment_off() -> None:
    assert settings(target=None, token=None, tls_ca=None, timeout=None) == DEFAULTS


def test_without_an_environment_there_are_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert settings() == DEFAULTS
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    assert settings() == DEFAULTS


@pytest.mark.parametrize("text", ["soon", "0", "-1", "inf", "nan"])
def test_a_timeout_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("RUNSVC_TIMEOUT", text)
    with pytest.raises(ValueError, match=f"RUNSVC_TIMEOUT is '{text}'"):
        settings()
    assert settings(timeout=3).timeout == 3


def test_certificates_are_a_file_or_its_bytes(environment: Path) -> None:
    assert settings(tls_ca=environment).certificates == b"CA"
    with pytest.raises(FileNotFoundError):
        settings(tls_ca=environment.with_name("none"))


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(settings(token="secret"))
