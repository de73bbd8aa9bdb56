"""The program as a whole, and its server command."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from runsvc.cli import main
from runsvc.cli.serve import called_as, target_option
from runsvc.errors import StoreRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result


def invoke(*arguments: str, **env: str) -> Result:
    return CliRunner().invoke(main, arguments, env=env, prog_name="runsvc")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", [(), *commands(main)])
def test_every_command_helps(path: tuple[str, ...]) -> None:
    result = invoke(*path, "--help")
    assert (result.exit_code, "Usage: runsvc" in result.stdout) == (0, True)


def test_help_tells_exit_codes_and_variables() -> None:
    assert "Exit codes:" in invoke("--help").stdout
    assert "RUNSVC_TARGET" in invoke("get", "--help").stdout
    assert "RUNSVC_CREATE_ASSISTANT" in invoke("create", "--help").stdout


def test_version() -> None:
    assert invoke("--version").stdout.startswith("runsvc, version 0.")


def test_misuse_is_json_for_programs() -> None:
    result = invoke("get", "--json", "--bogus")
    assert result.exit_code == 2
    assert json.loads(result.stderr)["code"] == "INVALID_ARGUMENT"
    assert invoke("get", "--bogus").stderr.startswith("Usage:")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    listen: str
    db: Path
    orphans: str
    orphan_error: str = "lost"
    log_keep: int
    max_active_per_thread: int
    insecure_listen: bool
    grace: float


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that a server was started with."""
    settings: list[Settings] = []

    def serve(told: Settings, ready: Callable[[str], None]) -> None:
        settings.append(told)
        ready(told.listen)

    install(monkeypatch, serve)
    return settings


def install(monkeypatch: pytest.MonkeyPatch, serve: Any) -> None:
    module: Any = ModuleType("runsvc.rpc.server")
    module.Settings, module.serve = Settings, serve
    monkeypatch.setitem(sys.modules, "runsvc.rpc.server", module)


def test_serve_says_where_and_what_next(served: list[Settings]) -> None:
    result = invoke("serve")
    assert result.exit_code == 0, result.output
    assert result.stdout == "runsvc 0.1.0 serves on 127.0.0.1:50051 (runsvc.db)\n"
    assert "  runsvc cancel --thread chat-1\n" in result.stderr
    assert served == [
        Settings(
            listen="127.0.0.1:50051",
            db=Path("runsvc.db"),
            orphans="keep",
            log_keep=100_000,
            max_active_per_thread=1_000,
            insecure_listen=False,
            grace=10.0,
        )
    ]


def test_serve_passes_its_options_on(served: list[Settings]) -> None:
    result = invoke(
        *("serve", "--listen", "0.0.0.0:7", "--insecure-listen", "--db", "x.db"),
        *("--orphans", "fail", "--orphan-error", "gone", "--log-keep", "5"),
        *("--max-active-per-thread", "2", "--grace", "0", "--log-level", "debug"),
    )
    assert "create chat-1 --assistant demo --target 127.0.0.1:7\n" in result.stderr
    assert served == [
        Settings(
            listen="0.0.0.0:7",
            db=Path("x.db"),
            orphans="fail",
            orphan_error="gone",
            log_keep=5,
            max_active_per_thread=2,
            insecure_listen=True,
            grace=0.0,
        )
    ]


@pytest.mark.parametrize("error", [StoreRefused("x.db", "no"), OSError("no"), ValueError("no")])
def test_a_server_that_cannot_start_says_why(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def serve(_settings: object, _ready: object) -> None:
        raise error

    install(monkeypatch, serve)
    result = invoke("serve")
    assert (result.exit_code, result.stderr) == (1, f"Error: {error}\n")


def test_without_the_extra_serve_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "runsvc.rpc.server", None)
    result = invoke("serve")
    assert result.exit_code == 1
    assert "pip install 'runsvc[server]'" in result.stderr


def test_commands_are_named_as_this_one_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = str(tmp_path.parent / "bin dir" / "runsvc")
    assert called_as(str(tmp_path / ".venv/bin/runsvc")) == ".venv/bin/runsvc"
    assert called_as(".venv/bin/runsvc") == ".venv/bin/runsvc"
    assert called_as("/usr/bin/pytest") == "runsvc"
    assert called_as(elsewhere) == f"'{elsewhere}'"
    monkeypatch.setattr("shutil.which", lambda name: elsewhere)
    assert called_as(elsewhere) == "runsvc"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:50051", ""),
        ("localhost:50051", ""),
        ("127.0.0.1:50052", " --target 127.0.0.1:50052"),
        ("[::]:50051", " --target '[::1]:50051'"),
    ],
)
def test_a_target_is_named_only_where_it_is_needed(address: str, expected: str) -> None:
    assert target_option(address) == expected
