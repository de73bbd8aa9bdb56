"""Scopes: a store shows each scope its own runs, and treats all others as if they did not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runsvc.commit.command import Command
from runsvc.core import lifecycle
from runsvc.core.owners import covers
from runsvc.store.queries import ById, Orphans, OwnerActiveCount
from runsvc.store.values import RunState, Topic, TopicKind
from tests.conformance.driver import RUNNING, SUCCESS, Driver

if TYPE_CHECKING:
    from runsvc.commit.transaction import Transaction
    from runsvc.core.model import Run
    from runsvc.core.owners import Scope
    from runsvc.store.base import Store

SCOPES = ("mine", "", None)


@pytest.fixture
def runs(driver: Driver) -> list[Run]:
    """Runs of three owners, alike in everything else."""
    return [driver.create("t", owner=owner, assistant_id="a") for owner in ("mine", "yours", "")]


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_run_is_found_in_its_scope_only(
    store: Store, driver: Driver, runs: list[Run], scope: Scope
) -> None:
    # Read from the file and from a cache, if there is one.
    for _ in range(2):
        for run in runs:
            is_mine = covers(scope, run.owner)
            assert (await store.reading.get(run.run_id, scope) is not None) == is_mine
            assert (
                await store.reading.get_without_kwargs(run.run_id, scope) is not None
            ) == is_mine
            assert [one.run_id for one in driver.load(ById(run.run_id, scope))] == (
                [run.run_id] if is_mine else []
            )
            topic = Topic(TopicKind.RUN, scope, run.run_id)
            state = RunState(run.run_id, run.revision)
            assert (await store.reading.snapshot(topic)).states == ([state] if is_mine else [])
            entries = (await store.reading.log_since(topic, 0, 9)).entries
            assert [one.run_id for one in entries] == ([run.run_id] if is_mine else [])


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("topic", [(TopicKind.ASSISTANT, "a"), (TopicKind.ALL, "")])
async def test_topics_of_many_runs_have_the_runs_of_the_scope(
    store: Store, runs: list[Run], driver: Driver, scope: Scope, topic: tuple[TopicKind, str]
) -> None:
    driver.create("t", owner="mine", assistant_id="another")
    kind, key = topic
    wanted = [run.run_id for run in runs if covers(scope, run.owner)]
    states = (await store.reading.snapshot(Topic(kind, scope, key))).states
    entries = (await store.reading.log_since(Topic(kind, scope, key), 0, 9)).entries
    for found in ([state.run_id for state in states], [entry.run_id for entry in entries]):
        assert [run_id for run_id in found if run_id in {run.run_id for run in runs}] == wanted
        assert len(found) == len(wanted) + (kind is TopicKind.ALL and scope != "")


async def test_a_full_slice_of_every_owner_ends_at_its_last_entry(
    store: Store, runs: list[Run]
) -> None:
    everything = Topic(TopicKind.ASSISTANT, None, "a")
    assert (await store.reading.log_since(everything, 0, 2)).scanned_to == 2
    assert (await store.reading.log_since(everything, 2, 2)).scanned_to == 3


@pytest.mark.parametrize("scope", SCOPES)
def test_orphans_are_those_of_the_scope(driver: Driver, runs: list[Run], scope: Scope) -> None:
    found = driver.load(Orphans(None, 9, scope=scope))
    assert [one.run_id for one in found] == [run.run_id for run in runs if covers(scope, run.owner)]


def test_active_runs_of_an_owner_are_counted_across_its_threads(driver: Driver) -> None:
    first, second, third = (driver.create(thread, owner="mine") for thread in "abc")
    driver.create("a", owner="yours")
    driver.report(first, RUNNING)
    driver.report(second, SUCCESS)
    query, capped = OwnerActiveCount("mine", 9), OwnerActiveCount("mine", 1)

    def count(tx: Transaction) -> tuple[int, int]:
        return tx.count_owner_active(query), tx.count_owner_active(capped)

    def end(tx: Transaction) -> None:
        before = tx.run(ById(third.run_id, "mine"))
        tx.save(before, lifecycle.report(before, SUCCESS, tx.stamp(), worker_id=None))

    counting = Command(count, (query, capped))
    assert driver.carry_out(counting) == (2, 1)
    ending = Command(end, (ById(third.run_id, "mine"),))
    _, counted = driver.batch(ending, counting).outcomes
    assert counted.answer == (1, 0)
