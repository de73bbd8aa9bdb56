"""A changed limit: the server goes on until no run waits at an open gate, in as many transactions as it takes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runsvc.commit import gates
from tests.support.calls import PENDING, call, created

if TYPE_CHECKING:
    import pytest

    from tests.support.server import Client

QUEUED = 7


async def test_a_removed_limit_moves_every_run_on(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "MOVES", 1)
    await call(client, "SetConcurrencyLimit", prefix="k", width=0)
    runs = [await created(client, concurrency_key="k") for _ in range(5)]
    assert {run.status for run in runs} == {QUEUED}
    await call(client, "SetConcurrencyLimit", prefix="k")
    while any(run.status != PENDING for run in runs):
        await asyncio.sleep(0.01)
        runs = [(await call(client, "Get", run_id=run.run_id)).run for run in runs]
