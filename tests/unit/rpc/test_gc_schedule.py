"""How far the garbage collector looks."""

from __future__ import annotations

import pytest

from runsvc.rpc.gc_schedule import CALLS, LOOKS, OLDER_LOOKS, generation


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        (1, 0),
        (LOOKS - 1, 0),
        (LOOKS, 1),
        (LOOKS + 1, 0),
        (LOOKS * (OLDER_LOOKS - 1), 1),
        (LOOKS * OLDER_LOOKS, 2),
        (LOOKS * (OLDER_LOOKS + 1), 1),
    ],
)
def test_older_objects_are_looked_through_seldom_and_all_at_last(looks: int, expected: int) -> None:
    assert generation(looks * CALLS) == expected
