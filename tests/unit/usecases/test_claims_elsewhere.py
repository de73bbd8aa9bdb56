"""Which claims wake for runs that other servers made claimable, and when."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from runsvc.commit.candidates import Wanted
from runsvc.store.memory import MemoryStore
from runsvc.usecases.claims_elsewhere import ClaimsElsewhere
from runsvc.usecases.waiting_claims import WaitingClaims
from tests.conformance.driver import CODEC, RUNNING, SUCCESS, Driver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runsvc.core.model import Run, RunStatus
    from runsvc.usecases.waiting_claims import WaitingClaim


class World:
    """Another server's changes, and claims that wait at this one."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.driver = Driver(store)
        self.waiting = WaitingClaims()
        self.pause = 0.0
        self.elsewhere = ClaimsElsewhere(self.waiting, CODEC, lambda: self.pause)

    def enter(self, worker: str = "w", *assistants: str) -> WaitingClaim:
        claim = self.waiting.enter(Wanted(worker, assistants or ("a",), None))
        claim.end_attempt()
        return claim

    def create(self, **spec: object) -> Run:
        run = self.driver.create(**{"assistant_id": "a"} | spec)  # type: ignore[arg-type]
        self.elsewhere.note_others(self.store.data.log[-1:])
        return run

    def report(self, run: Run, to: RunStatus, *, own: bool = False) -> None:
        self.driver.report(run, to)
        entries = self.store.data.log[-1:]
        if own:
            self.elsewhere.note_own(entries)
        else:
            self.elsewhere.note_others(entries)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    store = MemoryStore()
    await store.open()
    world = World(store)
    yield world
    world.elsewhere.close()
    assert not world.elsewhere._pauses


async def woken(claim: WaitingClaim) -> bool:
    for _ in range(3):
        await asyncio.sleep(0.001)
    return claim.woken.is_set()


async def test_one_claim_wakes_for_a_run_of_another_server(world: World) -> None:
    one, other = world.enter("v"), world.enter("w")
    world.create()
    assert not one.woken.is_set()
    assert [await woken(one), await woken(other)] == [True, False]


@pytest.mark.parametrize("own", [True, False])
async def test_no_claim_wakes_for_a_run_that_was_started_meanwhile(world: World, own: bool) -> None:
    claim, world.pause = world.enter(), 0.02
    run = world.create()
    world.report(run, RUNNING, own=own)
    world.pause = 0.0
    await asyncio.sleep(0.05)
    assert not claim.woken.is_set()


async def test_claims_for_others_do_not_wake(world: World) -> None:
    elsewhere = world.enter("w", "b")
    world.create()
    world.create(worker_id="another")
    assert not await woken(elsewhere)
    named = world.enter("another")
    world.create(worker_id="another")
    assert await woken(named)


async def test_a_run_that_waits_for_its_time_wakes_no_claim_yet(world: World) -> None:
    claim = world.enter()
    world.create(not_before=world.driver.create().created_at + timedelta(hours=1))
    assert not await woken(claim)


async def test_only_runs_that_became_claimable_wake_a_claim(world: World) -> None:
    run = world.create()
    claim = world.enter()
    world.report(run, RUNNING)
    world.report(run, SUCCESS)
    assert not await woken(claim)


async def test_nothing_is_decoded_without_claims(world: World) -> None:
    world.create()
    assert not world.elsewhere._pauses


async def test_corrupt_and_removed_entries_wake_no_claim(world: World) -> None:
    claim = world.enter()
    world.create()
    world.elsewhere.close()
    (entry,) = world.store.data.log
    for body in (b"\xff", None):
        world.elsewhere.note_others([entry._replace(body=body)])
    assert not await woken(claim)


async def test_after_a_gap_every_claim_tries_again(world: World) -> None:
    claims = [world.enter("v"), world.enter("w", "b")]
    world.elsewhere.wake_all()
    assert [await woken(each) for each in claims] == [True, True]
