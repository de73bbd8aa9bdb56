"""Concurrent callers, callers that give up, and killed servers. Long forms are in tests/soak."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

import grpc
import pytest

from runsvc.client import error_of
from runsvc.v1 import run_service_pb2
from tests.support.calls import INTERRUPTED, SUCCESS
from tests.support.engines import EVERY_ENGINE
from tests.support.lease_races import completed, race_cancel, race_expiry, renewed
from tests.support.races import (
    INTERRUPT,
    RUNNING,
    admitted,
    cancelled,
    check_given_up,
    crash_cycles,
    found,
    give_up,
    listed,
    log_of,
    on_thread,
    race_to_the_end,
)
from tests.support.server import in_process

if TYPE_CHECKING:
    from tests.support.engines import StorePlace
    from tests.support.lease_races import Act
    from tests.support.server import Client

#: See conftest.
ENGINES = EVERY_ENGINE


async def test_of_fifty_concurrent_creations_one_is_admitted_and_named_to_the_others(
    client: Client,
) -> None:
    answers = await asyncio.gather(
        *(admitted(client, "t") for _ in range(50)), return_exceptions=True
    )
    refused = [error_of(each) for each in answers if isinstance(each, grpc.RpcError)]
    (winner,) = [each for each in answers if not isinstance(each, BaseException)]
    assert len(refused) == 49
    assert {error.reason for error in refused} == {"THREAD_BUSY"}
    assert {error.metadata["run_id"] for error in refused} == {winner.run_id}


async def test_abandoned_calls_took_effect_completely_or_not_at_all(
    db: StorePlace,
) -> None:
    async with in_process(db) as client:
        given_up = await give_up(client, 300, Random(1))
        before = await check_given_up(client, 300)
    # Some abandoned calls took effect and some did not. Some calls were answered in time.
    assert given_up & before.keys()
    assert given_up - before.keys()
    assert len(given_up) < 300
    async with in_process(db) as client:
        assert await check_given_up(client, 300) == before
        for run_id in before.values():
            assert (await cancelled(client, run_id)).status > RUNNING
    log_of(db)


async def test_a_run_ends_once_under_races(db: StorePlace) -> None:
    async with in_process(db) as client:
        run_ids = await race_to_the_end(client, 100)
        runs = [await found(client, run_id) for run_id in run_ids]
    log_of(db)
    async with in_process(db) as client:
        assert [await found(client, run_id) for run_id in run_ids] == runs


@pytest.mark.parametrize("act", [renewed, completed, cancelled])
async def test_an_expiring_lease_races_with_reports(db: StorePlace, act: Act) -> None:
    async with in_process(db) as client:
        await race_expiry(client, act, 200, Random(3))
    log_of(db)


async def test_a_cancel_races_with_the_end(db: StorePlace) -> None:
    async with in_process(db) as client:
        ended = await race_cancel(client, 200)
    assert {run.status for run in ended} == {SUCCESS, INTERRUPTED}
    log_of(db)


@pytest.mark.parametrize("method", ["Create", "CreateOrReject"])
async def test_of_two_calls_with_one_request_id_one_creates_the_run(
    db: StorePlace, method: str
) -> None:
    request_type = getattr(run_service_pb2, f"{method}Request")

    async def create(client: Client, number: int, strategy: int = INTERRUPT) -> tuple[str, bool]:
        spec = on_thread(f"t{number}", strategy)
        answer = await getattr(client.runs, method)(
            request_type(request_id=f"r{number}", spec=spec)
        )
        return answer.run.run_id, answer.replayed

    run_ids = []
    async with in_process(db) as client:
        for number in range(25):
            (one, first), (other, second) = await asyncio.gather(
                create(client, number), create(client, number)
            )
            assert one == other
            assert {first, second} == {False, True}
            run_ids.append(one)
    async with in_process(db) as client:
        for number, run_id in enumerate(run_ids):
            assert await create(client, number) == (run_id, True)
            # A replayed INTERRUPT interrupts nothing.
            assert [run.run_id for run in await listed(client, f"t{number}")] == [run_id]
            assert not (await found(client, run_id)).HasField("ended_at")
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await create(client, number, strategy=1)
            assert error_of(refused.value).reason == "REQUEST_ID_REUSED"


async def test_a_kill_loses_no_answered_change(db: StorePlace) -> None:
    await crash_cycles(db, 4, Random(2))
