"""Sources of a client's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runsvc.client import ENVIRONMENT
from runsvc.client.settings import DEFAULT_TARGET, DEFAULT_TIMEOUT, Settings

if TYPE_CHECKING:
    from pathlib import Path

VARIABLES = ("RUNSVC_TARGET", "RUNSVC_TOKEN", "RUNSVC_TLS_CA", "RUNSVC_TIMEOUT")


@pytest.fixture(autouse=True)
def _without_more_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNSVC_TOKEN_FILE", "RUNSVC_TLS_CERT", "RUNSVC_TLS_KEY"):
        monkeypatch.delenv(name, raising=False)


DEFAULTS = Settings(DEFAULT_TARGET, None, None, DEFAULT_TIMEOUT)


def settings(**given: Any) -> Settings:
    names = ("target", "token", "tls_ca", "timeout")
    return Settings.of(*(given.get(name, ENVIRONMENT) for name in names))


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Set every variable. Return the file of certificates."""
    file = tmp_path / "ca.pem"
    file.write_bytes(b"CA")
    for name, value in zip(VARIABLES, ("host:1", "secret", str(file), "2.5"), strict=True):
        monkeypatch.setenv(name, value)
    return file


@pytest.mark.usefixtures("environment")
def test_omitted_arguments_come_from_the_environment() -> None:
    assert settings() == Settings("host:1", "secret", b"CA", 2.5)


@pytest.mark.usefixtures("environment")
def test_given_arguments_take_precedence() -> None:
    given = settings(target="other:2", token="mine", tls_ca=b"PEM", timeout=1.0)
    assert given == Settings("other:2", "mine", b"PEM", 1.0)


@pytest.mark.usefixtures("environment")
def test_none_ignores_the_environment() -> None:
    assert settings(target=None, token=None, tls_ca=None, timeout=None) == DEFAULTS


def test_defaults_without_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert settings() == DEFAULTS
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    assert settings() == DEFAULTS


@pytest.mark.parametrize("text", ["soon", "0", "-1", "inf", "nan"])
def test_invalid_timeout_variable_raises(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("RUNSVC_TIMEOUT", text)
    with pytest.raises(ValueError, match=f"RUNSVC_TIMEOUT is '{text}'"):
        settings()
    assert settings(timeout=3).timeout == 3


def test_certificates_are_a_file_or_its_content(environment: Path) -> None:
    assert settings(tls_ca=environment).certificates == b"CA"
    with pytest.raises(FileNotFoundError):
        settings(tls_ca=environment.with_name("none"))


def test_repr_hides_the_token() -> None:
    assert "secret" not in repr(settings(token="secret"))


def test_a_certificate_has_its_key_and_an_authority(tmp_path: Path) -> None:
    cert, key = tmp_path / "me.pem", tmp_path / "me.key"
    cert.write_bytes(b"CERT")
    key.write_bytes(b"KEY")
    pair = Settings.of(None, None, b"CA", None, cert, key)
    assert pair.tls == {"tls_ca": b"CA", "tls_cert": cert, "tls_key": key}
    assert pair.identity == (b"CERT", b"KEY")
    assert "KEY" not in repr(pair)
    with pytest.raises(ValueError, match="need each other"):
        Settings.of(None, None, b"CA", None, cert, None)
    with pytest.raises(ValueError, match="needs tls_ca"):
        Settings.of(None, None, None, None, cert, key)
