"""What is remembered of progress: few runs, and otherwise that all active ones must be gone through."""

from __future__ import annotations

import pytest

from runsvc.watch import progress_backlog as touched_module
from runsvc.watch.progress_backlog import ProgressBacklog


@pytest.fixture(autouse=True)
def _little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(touched_module, "CAPACITY", 3)


class Active:
    """The active runs, as a store tells them."""

    def __init__(self, run_ids: str) -> None:
        self.run_ids = run_ids

    async def __call__(self) -> str:
        return self.run_ids


async def test_few_are_remembered() -> None:
    touched = ProgressBacklog()
    assert not touched
    for run_id in "abab":
        touched.add(run_id)
    assert touched
    assert sorted(await touched.take(Active("abcdefg"))) == ["a", "b"]
    assert not touched


async def test_more_than_that_are_found_among_the_active() -> None:
    touched = ProgressBacklog()
    for run_id in "gfedcba":
        touched.add(run_id)
    assert len(touched) == 3
    active = Active("gcabdfe")
    assert sorted(await touched.take(active)) == ["e", "f", "g"]
    assert await touched.take(active) == ["a", "b", "c"]
    active.run_ids = "gabdfe"
    assert await touched.take(active) == ["d", "e", "f"]
    assert await touched.take(active) == ["g"]
    assert not touched


async def test_what_moves_while_they_are_gone_through_is_found_too() -> None:
    touched, active = ProgressBacklog(), Active("abcde")
    for run_id in "abcd":
        touched.add(run_id)
    await touched.take(active)
    assert await touched.take(active) == ["a", "b", "c"]
    touched.add("b")
    assert await touched.take(active) == ["b"]
    # Too many again: they are gone through to the end, and then once more.
    for run_id in "abcd":
        touched.add(run_id)
    await touched.take(active)
    assert await touched.take(active) == ["d", "e"]
    assert touched
    assert await touched.take(active) == ["a", "b", "c"]
    assert await touched.take(active) == ["d", "e"]
    assert not touched
