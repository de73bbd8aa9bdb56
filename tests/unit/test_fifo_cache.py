"""A FifoCache holds its newest entries."""

from __future__ import annotations

from runsvc.fifo_cache import FifoCache


def test_a_full_cache_drops_its_oldest_entry() -> None:
    kept = FifoCache[str, int](2)
    for key, value in (("a", 1), ("b", 2), ("c", 3)):
        kept.keep(key, value)
    assert kept == {"b": 2, "c": 3}


def test_an_entry_that_is_put_in_again_is_the_newest() -> None:
    kept = FifoCache[str, int](2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        kept.keep(key, value)
    assert kept == {"a": 3, "c": 4}
