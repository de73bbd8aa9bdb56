"""The long forms of the races and crashes in tests/service."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.support.lease_races import completed, race_cancel, race_expiry, renewed
from tests.support.races import (
    cancelled,
    check_given_up,
    crash_cycles,
    give_up,
    log_of,
    race_to_the_end,
)
from tests.support.server import in_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.lease_races import Act

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1_800)]


@pytest.mark.parametrize("seed", range(5))
async def test_a_hundred_kills_lose_no_acknowledged_change(tmp_path: Path, seed: int) -> None:
    await crash_cycles(tmp_path / "runs.db", 20, Random(seed))


@pytest.mark.parametrize("seed", range(20))
async def test_thousands_of_abandoned_calls_take_effect_completely_or_not_at_all(
    tmp_path: Path, seed: int
) -> None:
    db = tmp_path / "runs.db"
    async with in_process(db) as client:
        assert await give_up(client, 500, Random(seed))
        before = await check_given_up(client, 500)
    async with in_process(db) as client:
        assert await check_given_up(client, 500) == before
    log_of(db)


@pytest.mark.parametrize("act", [renewed, completed, cancelled])
@pytest.mark.parametrize("seed", range(10))
async def test_thousands_of_leases_expire_during_calls_on_their_runs(
    tmp_path: Path, act: Act, seed: int
) -> None:
    db = tmp_path / "runs.db"
    async with in_process(db) as client:
        await race_expiry(client, act, 300, Random(seed))
    log_of(db)


async def test_thousands_of_runs_are_cancelled_and_completed_at_the_same_time(
    tmp_path: Path,
) -> None:
    db = tmp_path / "runs.db"
    async with in_process(db) as client:
        for _ in range(20):
            await race_cancel(client, 200)
    log_of(db)


async def test_thousands_of_runs_end_in_races(tmp_path: Path) -> None:
    db = tmp_path / "runs.db"
    async with in_process(db) as client:
        await race_to_the_end(client, 3_000)
    log_of(db)
