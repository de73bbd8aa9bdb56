"""Restored backups: the server recognizes them, and watches of the former store do not go on silently."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.support.calls import SNAPSHOT_END, Refused, call, created, watched, watching
from tests.support.server import in_process

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("vacuum", [True, False])
async def test_a_watch_does_not_go_on_over_a_restored_backup(tmp_path: Path, vacuum: bool) -> None:
    db, backup = tmp_path / "runs.db", tmp_path / "backup.db"
    async with in_process(db) as client:
        for _ in range(3):
            await created(client)
        with closing(sqlite3.connect(db)) as source, closing(sqlite3.connect(backup)) as target:
            if vacuum:
                source.execute(f"VACUUM INTO '{backup}'")
            else:
                source.backup(target)
        for _ in range(3):
            await created(client)
        async with watching(client, all={}) as watch:
            event = await watch.read()
            while event.event != SNAPSHOT_END:
                event = await watch.read()
        assert event.revision == 6
    shutil.copy(backup, db)
    async with in_process(db) as client:
        for _ in range(5):
            await created(client)
        assert (await call(client, "GetServerInfo")).store_id != event.store_id
        with pytest.raises(Refused) as caught:
            await watched(client, all={}, after_revision=event.revision, store_id=event.store_id)
        assert caught.value.error.reason == "REVISION_UNKNOWN"
