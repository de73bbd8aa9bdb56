"""Clients and commands that act for one owner of many, over one connection and one credential."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.client import AsyncRunClient, NotFound, RunClient, RunError
from runsvc.v1.run_pb2 import RunSpec, RunStatus
from tests.support.commands import Commands
from tests.support.engines import EVERY_ENGINE
from tests.support.identities import A, token_file, token_of
from tests.support.server import in_process
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.engines import StorePlace

#: See conftest.
ENGINES = EVERY_ENGINE

#: Length of a lease, in seconds.
LEASE = 6
SPEC = RunSpec(thread_id="t")
RUNNING, SUCCESS = RunStatus.RUN_STATUS_RUNNING, RunStatus.RUN_STATUS_SUCCESS


@pytest.fixture
async def target(db: StorePlace) -> AsyncIterator[str]:
    async with in_process(db) as client:
        yield client.address


async def test_views_of_one_client_keep_owners_apart(target: str) -> None:
    async with AsyncRunClient(target) as client:
        ann, bob = client.for_owner("ann"), client.for_owner("bob")
        runs = {view: (await view.create(SPEC)).run for view in (ann, bob, client)}
        assert [run.owner for run in runs.values()] == ["ann", "bob", ""]
        for view, run in runs.items():
            (page,) = [page async for page in view.list_by_thread("t")]
            assert [each.run_id for each in page.runs] == [run.run_id]
        with pytest.raises(NotFound):
            await ann.get(runs[bob].run_id)
        # The client itself has every owner as its scope.
        assert (await client.get(runs[bob].run_id)).owner == "bob"


async def test_a_watch_of_a_view_has_the_runs_of_its_owner(target: str) -> None:
    async with AsyncRunClient(target) as client:
        ann, bob = client.for_owner("ann"), client.for_owner("bob")
        await bob.create(SPEC)
        run = (await ann.create(SPEC)).run
        async with ann.watch(all_runs=True) as watch:
            assert (await anext(watch)).run.run_id == run.run_id


async def test_an_execution_of_a_view_renews_its_lease(target: str) -> None:
    async with AsyncRunClient(target) as client:
        ann = client.for_owner("ann")
        run = (await ann.create(SPEC)).run
        async with ann.execute(run, lease_ttl=LEASE) as execution:
            first = execution.run.lease.expires_at.ToDatetime(UTC)

            async def is_renewed() -> bool:
                found = await ann.get(run.run_id)
                return found.lease.expires_at.ToDatetime(UTC) > first

            await until(is_renewed)
        ended = await ann.get(run.run_id)
        assert ended.status == SUCCESS
        with pytest.raises(NotFound):
            async with client.for_owner("bob").execute(run.run_id):
                pass


async def test_the_client_for_threads_has_views_too(target: str) -> None:
    def use() -> list[str]:
        with RunClient(target) as client:
            ann, bob = client.for_owner("ann"), client.for_owner("bob")
            run = ann.create(SPEC).run
            with pytest.raises(NotFound):
                bob.get(run.run_id)
            with ann.execute(run):
                pass
            return [run.owner for page in ann.list_by_thread("t") for run in page.runs]

    assert await asyncio.to_thread(use) == ["ann"]


async def test_closing_a_view_closes_its_client(target: str) -> None:
    async with AsyncRunClient(target) as client:
        await client.for_owner("ann").close()
        watch = client.watch(all_runs=True)
        with pytest.raises(RunError, match="The client is closed"):
            await anext(watch)


@pytest.mark.parametrize("owner", ["a b", "é", "x" * 129])
async def test_a_name_that_no_owner_can_have(target: str, owner: str) -> None:
    async with AsyncRunClient(target) as client:
        with pytest.raises(ValueError, match="owner must be at most 128"):
            client.for_owner(owner)


async def test_commands_act_for_an_owner(target: str) -> None:
    commands = Commands(target)
    created = await commands.json("create", "chat-1", "--owner", "ann")
    run_id = created["run"]["run_id"]
    assert created["run"]["owner"] == "ann"
    assert (await commands.json("get", run_id))["run"]["owner"] == "ann"
    assert "does not exist" in await commands.run("get", run_id, "--owner", "bob", status=3)
    commands.environment["RUNSVC_OWNER"] = "ann"
    listed = await commands.json("list", "chat-1")
    assert [run["run_id"] for run in listed["runs"]] == [run_id]
    assert await listed_ids(commands, "--owner", "") == []
    assert "128 printable" in await commands.run("list", "chat-1", "--owner", "a b", status=2)


async def listed_ids(commands: Commands, *options: str) -> list[Any]:
    return [run["run_id"] for run in (await commands.json("list", "chat-1", *options))["runs"]]


async def test_a_command_for_another_owner_than_its_credential(tmp_path: Path) -> None:
    tokens = token_file(tmp_path)
    assert A.principal is not None
    async with in_process(tmp_path / "runs.db", auth_tokens=tokens) as client:
        commands = Commands(client.address)
        commands.environment["RUNSVC_TOKEN"] = token_of(A.principal)
        assert (await commands.json("create", "t"))["run"]["owner"] == "a"
        refused = await commands.run("list", "t", "--owner", "b", "--json", status=1)
        assert json.loads(refused)["reason"] == "PERMISSION_DENIED"
        refused = await commands.run("admin", "info", status=1)
        assert "needs one of the roles admin" in refused
