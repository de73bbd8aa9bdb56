"""The generation that each scheduled collection visits."""

from __future__ import annotations

import pytest

from runsvc.rpc.gc_schedule import MIDDLE_EVERY, OLD_EVERY, generation


@pytest.mark.parametrize(
    ("collections", "expected"),
    [
        (1, 0),
        (MIDDLE_EVERY - 1, 0),
        (MIDDLE_EVERY, 1),
        (MIDDLE_EVERY + 1, 0),
        (MIDDLE_EVERY * (OLD_EVERY - 1), 1),
        (MIDDLE_EVERY * OLD_EVERY, 2),
        (MIDDLE_EVERY * (OLD_EVERY + 1), 1),
    ],
)
def test_older_generations_are_collected_seldom_and_all_in_the_end(
    collections: int, expected: int
) -> None:
    assert generation(collections) == expected
