"""A bounded dict holds its newest entries."""

from __future__ import annotations

from runsvc.fifo_cache import FifoCache


def test_what_came_first_goes_first() -> None:
    kept = FifoCache[str, int](2)
    for key, value in (("a", 1), ("b", 2), ("c", 3)):
        kept.keep(key, value)
    assert kept == {"b": 2, "c": 3}


def test_what_is_put_in_again_is_the_newest() -> None:
    kept = FifoCache[str, int](2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        kept.keep(key, value)
    assert kept == {"a": 3, "c": 4}
