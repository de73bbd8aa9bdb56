"""Fixtures of the watch tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runsvc.store.memory import MemoryStore
from runsvc.watch.hub import StatusHub
from tests.conformance.driver import Driver
from tests.unit.watch.environment import Environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    store = MemoryStore()
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def driver(store: MemoryStore) -> Driver:
    return Driver(store)


@pytest.fixture
def hub(store: MemoryStore, driver: Driver) -> StatusHub:
    hub = StatusHub(store.reading)
    driver.listeners.append(hub.publish)
    return hub


@pytest.fixture
async def env(store: MemoryStore) -> AsyncIterator[Environment]:
    env = Environment(store)
    yield env
    assert env.hub.watchers == 0
    assert env.attachments.held == 0
    await env.writer.close()
