"""A disk that fails: a refusal is true also after a crash, and nothing needs temporary files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import shim
from tests.support.calls import INTERRUPT, PENDING, call, created, refused
from tests.support.server import Process, client_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.server import Client

DISPLACE = {"thread_id": "t", "multitask_strategy": INTERRUPT}


@pytest.mark.parametrize("attempt", range(2))
async def test_a_refused_change_has_not_happened_after_a_crash(
    tmp_path: Path, attempt: int
) -> None:
    """The flush of the -wal fails, and the server is killed before any further commit."""
    flag = tmp_path / "fails"
    env = shim.build(tmp_path) | {"SHIM_SYNC_FAILS": str(flag)}
    async with Process(tmp_path / "runs.db", env=env) as process:
        async with client_of(process.address) as client:
            run = await created(client)
            flag.write_text("once")
            error = await refused(client, "CreateOrReject", spec=DISPLACE)
            assert error.reason == "STORE_UNAVAILABLE"
            assert not flag.exists()
        await process.kill()
        await process.start()
        async with client_of(process.address) as client:
            assert (await call(client, "Get", run_id=run.run_id)).run.status == PENDING
            assert len((await call(client, "ListByThread", thread_id="t")).runs) == 1


async def test_a_change_that_cannot_be_settled_is_unknown(tmp_path: Path) -> None:
    flag = tmp_path / "fails"
    env = shim.build(tmp_path) | {"SHIM_SYNC_FAILS": str(flag)}
    async with (
        Process(tmp_path / "runs.db", env=env) as process,
        client_of(process.address) as client,
    ):
        run = await created(client)
        flag.touch()
        error = await refused(client, "CreateOrReject", spec=DISPLACE)
        assert error.reason == "OUTCOME_UNKNOWN"
        flag.unlink()
        # It recovers by itself.
        await created(client, "another")
        assert (await call(client, "Get", run_id=run.run_id)).run.run_id == run.run_id


async def test_the_size_of_the_write_ahead_log_is_shown(client: Client) -> None:
    await created(client)
    before = (await call(client, "GetServerInfo")).write_ahead_log_bytes
    await created(client)
    assert (await call(client, "GetServerInfo")).write_ahead_log_bytes > before > 0
