"""The size of the `-wal`, and the free space of the disk."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from runsvc.core.errors import StoreUnavailable
from runsvc.store.sqlite import SqliteStore
from tests.conformance.driver import CODEC, Driver
from tests.engines.files import other_connection

if TYPE_CHECKING:
    from pathlib import Path

KWARGS = bytes(200_000)


async def test_a_write_ahead_log_that_grows_is_reported_once_with_the_cause(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteStore(path, CODEC, large_wal=6 << 20)
    await store.open()
    driver = Driver(store)
    driver.create()
    with caplog.at_level(logging.WARNING), other_connection(path) as other:
        for _ in range(40):
            driver.create(kwargs=KWARGS)
        assert caplog.messages == []
        assert store.log_bytes() < 6 << 20
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM runs").fetchall()
        for _ in range(60):
            driver.create(kwargs=KWARGS)
        assert store.log_bytes() > 6 << 20
        (message,) = caplog.messages
        assert "has grown to 6 MiB, because a program holds a read transaction open" in message
    await store.close()


async def test_nothing_is_written_to_a_disk_that_is_nearly_full(path: Path) -> None:
    store = SqliteStore(path, CODEC, reserve=1 << 60)
    await store.open()
    with pytest.raises(StoreUnavailable, match="MiB left: free space"):
        Driver(store).create()
    assert await store.reading.count_active() == 0
    store._guard._disk._reserve = 0
    assert Driver(store).create().revision == 1
    await store.close()
