"""Events as bytes: each change is encoded once, and never confused with another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runsvc.store.memory import MemoryStore
from runsvc.watch.event import Event, StatusEvent, change
from runsvc.wire import encoder as encoder_module
from runsvc.wire.convert import to_response
from runsvc.wire.encoder import KEPT, LARGEST, EventEncoder
from tests.conformance.driver import Driver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from runsvc.store.values import LogEntry


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    store = MemoryStore()
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Every event that is really encoded."""
    seen: list[Event] = []
    encode: Callable[[Event], object] = to_response

    def counted(event: Event) -> object:
        seen.append(event)
        return encode(event)

    monkeypatch.setattr(encoder_module, "to_response", counted)
    return seen


async def log(store: MemoryStore) -> list[LogEntry]:
    return list(await store.reading.log_tail(10_000, 1 << 30))


async def test_a_change_is_encoded_once(store: MemoryStore, encoded: list[Event]) -> None:
    Driver(store).create()
    (entry,) = await log(store)
    encoder = EventEncoder()
    first = encoder.encode(change(entry))
    assert encoder.encode(change(entry)) is first
    assert len(encoded) == 1
    assert first == to_response(change(entry)).SerializeToString()


async def test_different_events_are_encoded_separately(store: MemoryStore) -> None:
    Driver(store).create()
    (entry,) = await log(store)
    encoder = EventEncoder()
    for event in (
        change(entry),
        change(entry, more=True),
        # The run was removed since.
        change(entry._replace(body=None)),
        Event(StatusEvent.SNAPSHOT, subject=entry),
        Event(StatusEvent.SNAPSHOT_END, entry.revision, store_id="s"),
        Event(StatusEvent.HEARTBEAT, entry.revision, store_id="s"),
        change(entry),
    ):
        assert encoder.encode(event) == to_response(event).SerializeToString()


async def test_only_the_newest_small_changes_are_cached(
    store: MemoryStore, encoded: list[Event]
) -> None:
    driver = Driver(store)
    driver.create(metadata=b"\x0a\x00" * LARGEST)
    for _ in range(KEPT + 1):
        driver.create()
    encoder = EventEncoder()
    large, *entries = await log(store)
    for entry in (large, *entries, *entries[1:]):
        encoder.encode(change(entry))
    assert len(encoded) == KEPT + 2
    # The oldest was evicted; a large one was never cached.
    encoder.encode(change(entries[0]))
    encoder.encode(change(large))
    assert len(encoded) == KEPT + 4
