"""Values made from files that change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runsvc.core.errors import FileRefused
from runsvc.reloaded import Reloaded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def joined(contents: Sequence[bytes]) -> bytes:
    """The files together, which must be equal."""
    if len(set(contents)) > 1:
        raise FileRefused("pair", "the files differ")
    return b"+".join(contents)


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        path.write_bytes(b"a")
    return paths


async def test_a_change_is_noticed_once(pair: list[Path]) -> None:
    files = Reloaded(pair, joined)
    assert files.value == b"a+a"
    assert not await files.reload()
    for path in pair:
        path.write_bytes(b"b")
    assert await files.reload()
    assert not await files.reload()
    assert files.value == b"b+b"


async def test_files_that_do_not_fit_together_are_refused_at_the_second_look(
    pair: list[Path],
) -> None:
    files = Reloaded(pair, joined)
    pair[0].write_bytes(b"b")
    assert not await files.reload()
    for _ in range(2):
        with pytest.raises(FileRefused, match="the files differ"):
            await files.reload()
    assert files.value == b"a+a"
    pair[1].write_bytes(b"b")
    assert await files.reload()
    assert files.value == b"b+b"


async def test_files_that_become_what_they_were_are_good(pair: list[Path]) -> None:
    files = Reloaded(pair, joined)
    pair[0].write_bytes(b"b")
    await files.reload()
    pair[0].write_bytes(b"a")
    assert not await files.reload()
    pair[0].write_bytes(b"b")
    assert not await files.reload()


async def test_a_file_that_has_gone_is_refused_and_the_value_stays(pair: list[Path]) -> None:
    files = Reloaded(pair, joined)
    pair[0].unlink()
    with pytest.raises(FileRefused, match="no such file"):
        await files.reload()
    assert files.value == b"a+a"


def test_bad_files_are_refused_at_the_start(pair: list[Path]) -> None:
    pair[0].write_bytes(b"b")
    with pytest.raises(FileRefused):
        Reloaded(pair, joined)
    with pytest.raises(FileRefused, match="is a directory"):
        Reloaded([pair[0].parent], joined)
