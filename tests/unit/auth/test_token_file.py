"""Bearer tokens from a file."""

from __future__ import annotations

from hashlib import sha256
from math import inf
from typing import TYPE_CHECKING

import pytest

from runsvc.auth import lines, token_file
from runsvc.auth.caller import caller_of
from runsvc.auth.principal import Principal, Role
from runsvc.auth.token_file import TokenFile, credential_of, new_token
from runsvc.core.errors import FileRefused

if TYPE_CHECKING:
    from pathlib import Path

ALICE = Principal("alice", frozenset({Role.USER}), "alice", None, "token")
GATEWAY = Principal("gw", frozenset({Role.SERVICE}), None, None, "token")


def line(principal: Principal, token: str) -> str:
    return lines.form(principal, credential_of(token)) + "\n"


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def found(file: TokenFile, token: str) -> Principal | None:
    return file.find(token, sha256(token.encode()).digest())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "tokens.txt"
    write(file, line(ALICE, "one") + line(ALICE, "two") + line(GATEWAY, "three"))
    return file


def test_each_token_has_its_principal_and_one_principal_may_have_several(path: Path) -> None:
    file = TokenFile(path)
    for _ in range(2):
        # The second time from memory.
        assert [found(file, each) for each in ("one", "two", "three")] == [ALICE, ALICE, GATEWAY]
        assert found(file, "four") is None
        assert found(file, "") is None


def test_an_unknown_token_is_compared_with_every_hash(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []

    def compare(known: bytes, _digest: bytes) -> bool:
        compared.append(known)
        return len(compared) == 1

    monkeypatch.setattr(token_file, "compare_digest", compare)
    found(TokenFile(path), "one")
    assert len(compared) == 3


async def test_a_change_takes_effect_also_for_tokens_that_were_seen(path: Path) -> None:
    file = TokenFile(path)
    assert found(file, "one") == ALICE
    write(path, line(GATEWAY, "two"))
    await file.reload()
    assert [found(file, each) for each in ("one", "two", "three")] == [None, GATEWAY, None]


async def test_a_principal_that_no_line_names_is_withdrawn_and_no_other(path: Path) -> None:
    write(path, line(ALICE, "one") + line(GATEWAY, "two") + line(ALICE, "three"))
    file = TokenFile(path)
    one, two, three = (found(file, each) for each in ("one", "two", "three"))
    assert one
    assert two
    assert three
    write(path, line(GATEWAY, "one") + line(GATEWAY, "two"))
    await file.reload()
    assert [each.standing.is_withdrawn for each in (one, two, three)] == [True, False, True]
    assert found(file, "two") is two
    # A rotation withdraws nothing.
    write(path, line(GATEWAY, "four"))
    await file.reload()
    assert caller_of(two, ()).credential_left() == inf
    assert found(file, "two") is None
    # The principal itself is gone.
    write(path, line(ALICE, "five"))
    await file.reload()
    assert caller_of(two, ()).credential_left() == 0.0
    new = found(file, "five")
    assert new is not None
    assert not new.standing.is_withdrawn


async def test_a_bad_change_leaves_the_last_good_tokens(path: Path) -> None:
    file = TokenFile(path)
    write(path, "nonsense\n")
    await file.reload()
    with pytest.raises(FileRefused, match=r"tokens\.txt:1"):
        await file.reload()
    assert found(file, "one") == ALICE


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("al alice user sha256:beef\n", "64 hexadecimal digits"),
        ("al alice user secret\n", "64 hexadecimal digits"),
        (line(ALICE, "one") + line(GATEWAY, "one"), "an earlier line has the same token"),
    ],
)
def test_a_bad_credential_is_refused_and_not_repeated(path: Path, text: str, detail: str) -> None:
    write(path, text)
    with pytest.raises(FileRefused, match=detail) as caught:
        TokenFile(path)
    assert "secret" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="no such file"):
        TokenFile(tmp_path / "none")


def test_new_tokens_differ_and_can_be_recognized() -> None:
    first, second = new_token(), new_token()
    assert first != second
    assert first.startswith("runsvc_")
    assert len(first) == 50
