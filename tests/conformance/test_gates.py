"""Gates: after every batch, no run waits although its gates are open, and no width is exceeded."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from runsvc.commit import gates
from runsvc.commit.command import Command, ExclusiveCommand
from runsvc.commit.group_commit import GroupCommit
from runsvc.core.model import RunSpec, RunStatus
from runsvc.maintenance.promotions import reconsider
from runsvc.store.queue import LimitChange
from runsvc.wire.codec import RunCodec
from tests.support.gate_world import GateWorld

if TYPE_CHECKING:
    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.commit.transaction import Transaction
    from runsvc.store.base import Store


async def play(store: Store, seed: int, steps: int) -> GateWorld:
    world = GateWorld(store, seed)
    try:
        for _ in range(steps):
            await world.step()
    finally:
        await world.close()
    return world


@pytest.mark.parametrize("seed", range(2))
async def test_no_run_waits_at_an_open_gate(store: Store, seed: int) -> None:
    world = await play(store, seed, 80)
    assert world.seen["queued"] > 50


@pytest.mark.parametrize("seed", range(2))
async def test_a_batch_that_moves_few_runs_leaves_the_others_to_following_ones(
    store: Store, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "MOVES", 1)
    world = await play(store, 50 + seed, 80)
    assert world.seen["queued"] > 50
    assert world.seen["unfinished"]


def test_a_changed_limit_moves_a_limited_number_of_runs_in_each_transaction(store: Store) -> None:
    commit = GroupCommit(store.writing, RunCodec())
    key, others = ("o", "k"), 20

    def create(tx: Transaction) -> None:
        spec = RunSpec(thread_id="t", concurrency_key="k")
        tx.create(spec, run_id=tx.new_run_id(), owner="o", request=None)

    def limit(tx: ExclusiveTransaction, width: int | None) -> None:
        tx.set_limit(LimitChange("k", width))

    commit.run([ExclusiveCommand(lambda tx: limit(tx, 0))])
    for _ in range(2):
        commit.run([Command(create)] * gates.MOVES)
    commit.run([Command(create)] * others)

    moved = []
    committed = commit.run([ExclusiveCommand(lambda tx: limit(tx, None))])
    while committed.unfinished:
        assert committed.unfinished == {key}
        moved.append(committed.entries)
        follow = partial(reconsider, keys=committed.unfinished, searches=False)
        committed = commit.run([Command(follow)])
    moved.append(committed.entries)
    assert [len(entries) for entries in moved] == [gates.MOVES, gates.MOVES, others]
    entries = [entry for part in moved for entry in part]
    assert {entry.status for entry in entries} == {RunStatus.PENDING}
    assert len({entry.run_id for entry in entries}) == len(entries)


def test_a_search_finds_the_keys_that_an_ended_server_left(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "MOVES", 1)
    commit = GroupCommit(store.writing, RunCodec())

    def create(tx: Transaction) -> None:
        spec = RunSpec(thread_id="t", concurrency_key="k")
        tx.create(spec, run_id=tx.new_run_id(), owner="o", request=None)

    commit.run([ExclusiveCommand(lambda tx: tx.set_limit(LimitChange("k", 0)))])
    commit.run([Command(create)] * 2)
    assert commit.run([ExclusiveCommand(lambda tx: tx.set_limit(LimitChange("k", 5)))]).unfinished
    another = GroupCommit(store.writing, RunCodec())
    committed = another.run([Command(lambda tx: reconsider(tx, (), searches=True))])
    assert [entry.status for entry in committed.entries] == [RunStatus.PENDING]


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(40))
async def test_no_run_waits_at_an_open_gate_for_long(store: Store, seed: int) -> None:
    await play(store, 100 + seed, 1_500)
