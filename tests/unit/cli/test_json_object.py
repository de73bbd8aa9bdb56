"""JSON objects as arguments: their sources, and the numbers that are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from runsvc.cli import main
from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_pb2 import Run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Cli

CREATED = pb.CreateOrRejectResponse(run=Run(run_id="r1"))


def kwargs_of(cli: Cli) -> dict[str, Any]:
    return dict(cli.last_request.spec.kwargs)


@pytest.mark.parametrize("option", ["--kwargs", "--metadata"])
@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("9007199254740993", "9007199254740993"),
        ("-9007199254740993", "-9007199254740993"),
        ("1152921504606846976", "1152921504606846976"),
        ("1" * 400, "1" * 40 + "…"),
    ],
)
def test_integer_that_would_lose_digits_is_refused(
    cli: Cli, option: str, number: str, shown: str
) -> None:
    result = cli("create", "chat-1", option, f'{{"a": [{{"id": {number}}}]}}')
    assert (result.exit_code, cli.script.asked) == (2, [])
    message = f'The integer {shown} would lose digits. Write it as text: "{shown}".'
    assert message in result.stderr


def test_number_that_is_infinite_as_a_double_is_refused(cli: Cli) -> None:
    result = cli("create", "chat-1", "--kwargs", '{"a": 1e999}')
    assert (result.exit_code, "The number 1e999 is too large." in result.stderr) == (2, True)


def test_exact_numbers_are_sent(cli: Cli) -> None:
    cli.script.will("CreateOrReject", CREATED)
    text = '{"a": 9007199254740992, "b": -9007199254740992, "c": 1e300, "d": 0.1}'
    assert cli("create", "chat-1", "--kwargs", text).exit_code == 0
    assert kwargs_of(cli) == {"a": 2**53, "b": -(2**53), "c": 1e300, "d": 0.1}


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_object_from_a_file(cli: Cli, tmp_path: Path, start: str) -> None:
    cli.script.will("CreateOrReject", CREATED)
    file = tmp_path / "input.json"
    file.write_text(f'{start}{{"input": "☃{"x" * 200_000}"}}\n', "utf-8")
    assert cli("create", "chat-1", "--kwargs", f"@{file}").exit_code == 0
    assert kwargs_of(cli) == {"input": "☃" + "x" * 200_000}


def test_object_from_standard_input(cli: Cli) -> None:
    cli.script.will("CreateOrReject", CREATED)
    arguments = ["create", "chat-1", "--kwargs", "-", "--target", cli.target]
    assert CliRunner().invoke(main, arguments, input='{"input": "hello"}').exit_code == 0
    assert kwargs_of(cli) == {"input": "hello"}


def test_standard_input_is_read_once(cli: Cli) -> None:
    arguments = ["create", "chat-1", "--kwargs", "-", "--metadata", "-", "--target", cli.target]
    result = CliRunner().invoke(main, arguments, input='{"input": "hello"}')
    assert (result.exit_code, cli.script.asked) == (2, [])
    assert "--kwargs reads standard input already. Use @FILE for one of them." in result.stderr


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"b": [{"a": 1, "c": 0, "a": 1}]}'])
def test_key_that_is_given_twice_is_refused(cli: Cli, text: str) -> None:
    result = cli("create", "chat-1", "--metadata", text)
    assert (result.exit_code, cli.script.asked) == (2, [])
    assert "The key 'a' is given twice. Keep one." in result.stderr


def test_unreadable_files_are_usage_errors(cli: Cli, tmp_path: Path) -> None:
    result = cli("create", "chat-1", "--kwargs", "@/nowhere")
    assert result.exit_code == 2
    assert "Cannot read /nowhere: No such file or directory." in result.stderr
    file = tmp_path / "latin.json"
    file.write_bytes(b'{"a": "\xe9"}')
    result = cli("create", "chat-1", "--kwargs", f"@{file}")
    assert (result.exit_code, "is not valid UTF-8." in result.stderr) == (2, True)
