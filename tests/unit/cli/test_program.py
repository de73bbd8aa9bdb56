"""The program as a whole, and `runsvc serve`."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from runsvc import __version__
from runsvc.cli import main
from runsvc.core.errors import StoreRefused
from runsvc.settings import ORPHAN_ERROR, Settings
from runsvc.v1.run_pb2 import Run
from runsvc.v1.run_service_pb2 import GetResponse
from tests.support.scripted import Script, scripted

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
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    result = invoke(*path, "--help")
    assert (result.exit_code, "Usage: runsvc" in result.stdout) == (0, True)


def test_argument_that_is_not_utf8_is_a_usage_error() -> None:
    result = invoke("create", "\udcff")
    assert (result.exit_code, result.stderr) == (2, "Error: '\\udcff' is not valid UTF-8.\n")
    result = invoke("create", "t", "--model", "\udcff", "--json")
    assert json.loads(result.stderr)["code"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "0", "1e300", "2d", ""])
def test_invalid_timeout_is_a_usage_error(seconds: str) -> None:
    assert invoke("get", "r", "--timeout", seconds).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "env", "place"),
    [
        (["--status", "new"], {}, "'--status':"),
        (["--status", "new"], {"RUNSVC_LIST_STATUS": "error"}, "'--status':"),
        (
            [],
            {"RUNSVC_LIST_STATUS": "new"},
            "'--status' from the environment (RUNSVC_LIST_STATUS):",
        ),
        (
            [],
            {"RUNSVC_LIST_PAGE_SIZE": "new"},
            "'--page-size' from the environment (RUNSVC_LIST_PAGE_SIZE):",
        ),
    ],
)
def test_an_error_names_a_variable_only_if_the_value_came_from_it(
    arguments: list[str], env: dict[str, str], place: str
) -> None:
    result = CliRunner().invoke(main, ["list", "t", *arguments], env=env, prog_name="runsvc")
    assert result.exit_code == 2
    assert f"Invalid value for {place} 'new' is not" in result.stderr


def test_help_shows_exit_codes_and_variables() -> None:
    assert "Exit codes:" in invoke("--help").stdout
    assert "RUNSVC_TARGET" in invoke("get", "--help").stdout
    assert "RUNSVC_CREATE_ASSISTANT" in invoke("create", "--help").stdout


def test_help_shows_defaults() -> None:
    create = " ".join(invoke("create", "--help").stdout.split())
    assert "default: (reject)" in create
    assert "default: (cancel)" in create
    assert 'default: ""' not in create
    assert "default: (interrupt)" in " ".join(invoke("cancel", "--help").stdout.split())
    assert ORPHAN_ERROR in " ".join(invoke("serve", "--help").stdout.split())


@pytest.mark.parametrize("group", [(), ("admin",)])
def test_short_help_is_not_cut(group: tuple[str, ...]) -> None:
    assert "..." not in invoke(*group, "--help").stdout.partition("Commands:")[2]


def test_version() -> None:
    assert invoke("--version").stdout.startswith("runsvc, version 0.")


def test_usage_error_is_json_with_json_option() -> None:
    result = invoke("get", "--json", "--bogus")
    assert result.exit_code == 2
    assert json.loads(result.stderr)["code"] == "INVALID_ARGUMENT"
    assert invoke("get", "--bogus").stderr.startswith("Usage:")


def test_unknown_option_explains_ids_that_begin_with_a_dash() -> None:
    advice = 'Put "--" before the first id that begins with "-", after all options.'
    for arguments in (("get", "-8f3"), ("create", "--8f3"), ("cancel", "_a", "-8f3")):
        assert advice in invoke(*arguments).stderr
        assert advice in json.loads(invoke(*arguments, "--json").stderr)["message"]
    # These commands take no ids.
    assert advice not in invoke("serve", "--8f3").stderr
    assert advice not in invoke("--8f3").stderr


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Settings]]:
    """Settings of the servers that were started."""
    logger = logging.getLogger("runsvc")
    level = logger.level
    settings: list[Settings] = []

    def serve(given: Settings, ready: Callable[[str], None]) -> None:
        settings.append(given)
        ready(given.listen)

    install(monkeypatch, serve)
    monkeypatch.setattr("runsvc.cli.serve.is_terminal", lambda: True)
    yield settings
    logger.setLevel(level)


def install(monkeypatch: pytest.MonkeyPatch, serve: Any) -> None:
    module: Any = ModuleType("runsvc.service")
    module.serve = serve
    monkeypatch.setitem(sys.modules, "runsvc.service", module)


def test_serve_prints_its_address_and_next_commands(served: list[Settings]) -> None:
    result = invoke("serve")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"runsvc {__version__} serves on 127.0.0.1:50051 (runsvc.db)\n"
    assert result.stderr.splitlines() == [
        "Try these commands in another terminal:",
        "  runsvc create chat-1 --assistant demo",
        "  runsvc list chat-1",
        "  runsvc cancel --thread chat-1",
        "To watch them live, run this first in a third terminal:",
        "  runsvc watch --thread chat-1",
    ]
    assert served == [
        Settings(
            listen="127.0.0.1:50051",
            db=Path("runsvc.db"),
            orphans="keep",
            orphan_error=ORPHAN_ERROR,
            log_keep=100_000,
            log_keep_age=None,
            retain_runs=None,
            max_active_per_thread=1_000,
            attach_grace=5.0,
            insecure_listen=False,
            grace=10.0,
        )
    ]


def test_hints_do_not_go_to_the_log_of_a_service(
    served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    install(monkeypatch, lambda _settings, ready: ready("127.0.0.1:50051"))
    result = invoke("serve")
    assert result.stdout == f"runsvc {__version__} serves on 127.0.0.1:50051 (runsvc.db)\n"
    assert (result.stderr, served) == ("", [])


@pytest.mark.usefixtures("served")
def test_unknown_variable_of_the_server_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RUNSVC_SERVE_RETAIN_RUN", "30d")
    monkeypatch.setenv("RUNSVC_SERVE_LOG_LEVEL", "info")
    monkeypatch.setenv("RUNSVC_SERVE_XYZ_1", "1")
    assert invoke("serve").exit_code == 0
    effect = "is no variable of runsvc serve, and has no effect."
    assert caplog.messages == [
        f"RUNSVC_SERVE_RETAIN_RUN {effect} Did you mean RUNSVC_SERVE_RETAIN_RUNS?",
        f"RUNSVC_SERVE_XYZ_1 {effect} See runsvc serve --help.",
    ]


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (("--target", "h:1", "get", "r"), "--target belongs behind the command: runsvc COMMAND"),
        (("--thread", "t", "cancel"), "--thread belongs behind the command: runsvc COMMAND"),
        (("admin", "--json", "info"), "--json belongs behind the command: runsvc admin COMMAND"),
        (("--nonsense", "get", "r"), "No such option"),
    ],
)
def test_option_before_the_command_is_a_usage_error(given: tuple[str, ...], place: str) -> None:
    result = invoke(*given)
    assert result.exit_code == 2
    assert place in result.stderr or place in json.loads(result.stderr)["message"]


@pytest.mark.parametrize(
    "arguments", [("--help",), ("get", "--help"), ("get", "r1"), ("get", "r1", "--json")]
)
def test_output_without_a_reader_ends_as_other_programs_do(arguments: tuple[str, ...]) -> None:
    script = Script()
    script.will("Get", GetResponse(run=Run(run_id="r1")))
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "runsvc.cli", *arguments]
    try:
        with scripted(script) as target:
            ended = subprocess.run(
                command,
                stdout=writing,
                stderr=subprocess.PIPE,
                check=False,
                env=os.environ | {"RUNSVC_TARGET": target},
            )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_serve_passes_its_options(served: list[Settings]) -> None:
    result = invoke(
        *("serve", "--listen", "0.0.0.0:7", "--insecure-listen", "--db", "x.db"),
        *("--orphans", "fail", "--orphan-error", "gone", "--log-keep", "5", "--retain-runs", "30d"),
        *("--max-active-per-thread", "2", "--attach-grace", "1.5", "--log-keep-age", "7d"),
        *("--grace", "0", "--log-level", "debug"),
    )
    assert "create chat-1 --assistant demo --target 127.0.0.1:7\n" in result.stderr
    assert served == [
        Settings(
            listen="0.0.0.0:7",
            db=Path("x.db"),
            orphans="fail",
            orphan_error="gone",
            log_keep=5,
            log_keep_age=timedelta(days=7),
            retain_runs=timedelta(days=30),
            max_active_per_thread=2,
            attach_grace=1.5,
            insecure_listen=True,
            grace=0.0,
        )
    ]


@pytest.mark.parametrize("error", [StoreRefused("x.db", "no"), OSError("no"), ValueError("no")])
def test_server_that_cannot_start_is_an_error(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def serve(_settings: object, _ready: object) -> None:
        raise error

    install(monkeypatch, serve)
    result = invoke("serve")
    assert (result.exit_code, result.stderr) == (1, f"Error: {error}\n")


def test_serve_without_the_extra_shows_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "runsvc.service", None)
    result = invoke("serve")
    assert result.exit_code == 1
    assert "Install it with: pip install '/path/to/runsvc[server]'" in result.stderr


def test_server_on_every_address_is_reached_at_loopback(served: list[Settings]) -> None:
    result = invoke("serve", "--listen", "[::]:50051", "--insecure-listen")
    assert "  runsvc list chat-1 --target '[::1]:50051'\n" in result.stderr
    assert "--target" not in invoke("serve", "--listen", "localhost:50051").stderr


@pytest.mark.parametrize(
    ("level", "ours", "others"), [("debug", 10, 30), ("info", 20, 30), ("error", 40, 40)]
)
def test_log_level_applies_to_runsvc(
    monkeypatch: pytest.MonkeyPatch, served: list[Settings], level: str, ours: int, others: int
) -> None:
    config: dict[str, Any] = {}
    monkeypatch.setattr(logging, "basicConfig", lambda **settings: config.update(settings))
    invoke("serve", "--log-level", level)
    assert (logging.getLogger("runsvc").level, config["level"]) == (ours, others)


@pytest.mark.parametrize("option", ["--retain-runs", "--log-keep-age"])
@pytest.mark.parametrize("given", ["30", "1h5", " 30 ", "0.5"])
def test_length_that_removes_data_needs_a_unit(
    served: list[Settings], option: str, given: str
) -> None:
    result = invoke("serve", option, given)
    assert (result.exit_code, served) == (2, [])
    assert f"{given!r} has no unit. Write it as {given.strip()}s or" in result.stderr


@pytest.mark.parametrize("given", ["-1", "1e3", "inf", "", "1.", "1d1d"])
def test_remedy_for_an_invalid_length_is_a_valid_one(served: list[Settings], given: str) -> None:
    result = invoke("serve", f"--retain-runs={given}")
    assert (result.exit_code, served) == (2, [])
    assert f"{given!r} is not a duration. Write it as 90s, 1h30m or 30d." in result.stderr


@pytest.mark.parametrize("option", ["--grace", "--attach-grace", "--stop-grace"])
def test_longest_grace_is_a_day(served: list[Settings], option: str) -> None:
    assert invoke("serve", option, "1d").exit_code == 0
    result = invoke("serve", option, "25h")
    assert (result.exit_code, len(served)) == (2, 1)
    assert f"Invalid value for '{option}': '25h' is too long. The maximum is 1d." in result.stderr


@pytest.mark.parametrize(
    ("given", "seconds"), [("5s", 5), ("5", 5), ("0", 0), ("1.5", 1.5), ("2m", 120), ("1e2", 100)]
)
def test_graces_take_units(served: list[Settings], given: str, seconds: float) -> None:
    assert invoke("serve", "--attach-grace", given, "--grace", given).exit_code == 0
    assert [(each.attach_grace, each.grace) for each in served] == [(seconds, seconds)]


@pytest.mark.parametrize("given", ["25h", "nan", "-1", "1e300", "soon"])
def test_invalid_grace_is_a_usage_error(served: list[Settings], given: str) -> None:
    assert (invoke("serve", "--attach-grace", given).exit_code, served) == (2, [])
