"""`runsvc token new`: the token for the client, and the line for the server."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from runsvc.auth.principal import Principal, Role
from runsvc.auth.token_file import TokenFile
from runsvc.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

ALICE = ("--name", "alice", "--owner", "alice", "--role", "user")


def new(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("token", "new", *arguments), prog_name="runsvc")


def principal(file: Path, token: str) -> Principal | None:
    """The principal that a server with the file finds for a token."""
    return TokenFile(file).find(token, sha256(token.encode()).digest())


def test_the_token_and_the_line_are_printed_and_fit_together(tmp_path: Path) -> None:
    result = new(*ALICE, "--role", "reader", "--expires", "2027-01-31T00:00:00Z", "--json")
    answer: dict[str, Any] = json.loads(result.stdout)
    file = tmp_path / "tokens.txt"
    file.write_text(answer["line"])
    roles = frozenset({Role.USER, Role.READER})
    expected = Principal("alice", roles, "alice", datetime(2027, 1, 31, tzinfo=UTC), "token")
    assert principal(file, answer["token"]) == expected
    assert answer["token"] not in answer["line"]


def test_people_get_both_with_their_purpose() -> None:
    lines = new(*ALICE).stdout.splitlines()
    assert lines[0].startswith("The token, which is not shown again.")
    assert lines[1].startswith("  runsvc_")
    assert lines[2] == "The line for the file of --auth-tokens:"
    assert lines[3].startswith("  alice alice user sha256:")


def test_files_get_both_and_the_token_is_not_printed(tmp_path: Path) -> None:
    tokens, mine = tmp_path / "tokens.txt", tmp_path / "mine.token"
    tokens.write_text("# edited by hand, without a last line end")
    tokens.chmod(0o644)
    result = new(*ALICE, "--append-to", str(tokens), "--save", str(mine))
    token = mine.read_text().strip()
    assert token.startswith("runsvc_")
    assert token not in result.stdout
    assert stat.S_IMODE(mine.stat().st_mode) == 0o600
    assert tokens.read_text().startswith("# edited by hand, without a last line end\nalice ")
    assert principal(tokens, token)
    second = tmp_path / "second.token"
    result = new(*ALICE, "--append-to", str(tokens), "--save", str(second), "--json")
    assert json.loads(result.stdout).keys() == {"line"}
    assert principal(tokens, token) == principal(tokens, second.read_text().strip())


def test_a_file_of_a_token_is_not_replaced(tmp_path: Path) -> None:
    mine = tmp_path / "mine.token"
    mine.write_text("precious")
    result = new(*ALICE, "--save", str(mine))
    assert result.exit_code == 1
    assert f"{mine} exists" in result.stderr
    assert mine.read_text() == "precious"


def test_an_end_may_be_a_duration() -> None:
    line = json.loads(new(*ALICE, "--expires", "90d", "--json").stdout)["line"]
    end = datetime.fromisoformat(line.rpartition("expires=")[2])
    assert timedelta(days=89) < end - datetime.now(UTC) <= timedelta(days=90)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--name", "a b", "--owner", "a", "--role", "user"), "A name must have 1 to 128"),
        (("--name", "a", "--owner", "é", "--role", "user"), "An owner must have 1 to 128"),
        (("--name", "a", "--owner", "*", "--role", "user"), "The roles user and reader need one"),
        (("--name", "a", "--owner", "a", "--role", "admin"), "The role admin is for every owner"),
        (("--name", "a", "--owner", "a", "--role", "boss"), "'boss' is not one of"),
        (("--name", "a", "--owner", "a"), "Missing option '--role'"),
        ((*ALICE, "--expires", "90"), "'90' has no unit"),
        ((*ALICE, "--expires", "2027-01-31"), "has no time zone"),
        ((*ALICE, "--append-to", "/nowhere/tokens.txt"), "Cannot write /nowhere/tokens.txt"),
    ],
)
def test_a_mistake_is_named(arguments: tuple[str, ...], message: str) -> None:
    result = new(*arguments)
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert "runsvc_" not in result.output
