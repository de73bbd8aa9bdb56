"""The lines of files that map credentials to principals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from runsvc.auth import lines
from runsvc.auth.principal import Principal, Role
from runsvc.core.errors import FileRefused

if TYPE_CHECKING:
    from pathlib import Path

END = datetime(2027, 1, 31, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "lines.txt"
    file.touch(0o600)
    return file


def parsed(path: Path, text: str) -> list[lines.Line]:
    return list(lines.parse(path, text.encode(), "token"))


def test_a_line_names_principal_owner_roles_and_credential(path: Path) -> None:
    text = "# comment\n\n  gw  *  service,admin\tsha256:aa  expires=2027-01-31T01:00:00+01:00\nal alice user x#y\n"
    first, second = parsed(path, text)
    roles = frozenset({Role.SERVICE, Role.ADMIN})
    assert first == ("sha256:aa", Principal("gw", roles, None, END, "token"), f"{path}:3")
    assert second.principal == Principal("al", frozenset({Role.USER}), "alice", None, "token")
    assert (second.credential, second.place) == ("x#y", f"{path}:4")


@pytest.mark.parametrize("end", [None, END])
def test_a_line_that_was_written_is_read_as_the_same_principal(
    path: Path, end: datetime | None
) -> None:
    principal = Principal("al", frozenset({Role.USER, Role.READER}), "auth0|5f", end, "token")
    (line,) = parsed(path, lines.form(principal, "sha256:aa"))
    assert (line.principal, line.credential) == (principal, "sha256:aa")


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        ("al alice user", "write it as NAME OWNER ROLES CREDENTIAL"),
        ("al alice user x until=2027", "write it as NAME OWNER ROLES CREDENTIAL"),
        ("al alice user x expires=2027-01-31T00:00:00Z more", "write it as NAME"),
        ("al alice boss x", "the roles are user, reader, worker, service, admin"),
        ("al alice user, x", "the roles are"),
        ("é alice user x", "the name must have 1 to 128 printable ASCII"),
        ("* alice user x", "the name must have"),
        (f"al {'a' * 129} user x", "the owner must have"),
        ("al * user x", "the roles user and reader need one owner"),
        ("al * service,reader x", "the roles user and reader need one owner"),
        ("al alice admin x", "the role admin is for every owner"),
        ("al alice user x expires=soon", "write the end as expires=2027-01-31T00:00:00Z"),
        ("al alice user x expires=2027-01-31T00:00:00", "with a time zone"),
    ],
)
def test_a_bad_line_is_refused_with_its_number_and_a_remedy(
    path: Path, line: str, detail: str
) -> None:
    with pytest.raises(FileRefused) as caught:
        parsed(path, f"# one\n{line}\n")
    assert caught.value.place == f"{path}:2"
    assert detail in caught.value.detail


def test_a_file_that_others_may_write_is_refused(path: Path) -> None:
    for mode in (0o620, 0o602):
        path.chmod(mode)
        with pytest.raises(FileRefused, match="chmod go-w"):
            parsed(path, "")
    path.chmod(0o644)
    assert parsed(path, "") == []


def test_a_file_that_is_not_text_is_refused(path: Path) -> None:
    with pytest.raises(FileRefused, match="not UTF-8"):
        list(lines.parse(path, b"\xff", "token"))
