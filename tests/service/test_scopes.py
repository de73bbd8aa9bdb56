"""Scopes over a real connection: foreign runs do not exist, and owners do not meet."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import grpc
import pytest

from runsvc.auth.principal import Role
from runsvc.client import error_of
from runsvc.v1 import admin_service_pb2, run_service_pb2
from runsvc.v1.run_pb2 import AllRuns, RunSpec
from tests.service.test_permissions import ON_A_RUN
from tests.support.calls import (
    CHANGED,
    DELETED,
    HEARTBEAT,
    INTERRUPT,
    SNAPSHOT_END,
    SUCCESS,
    call,
)
from tests.support.engines import EVERY_ENGINE
from tests.support.identities import (
    ADMIN,
    SERVICE,
    A,
    B,
    Identity,
    principal,
    with_identities,
)
from tests.support.server import in_process
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.engines import StorePlace
    from tests.support.server import Client

#: See conftest.
ENGINES = EVERY_ENGINE

FIXED: Final = ("x-request-id", "q-1")
ALL: Final = run_service_pb2.StreamStatusRequest(all=AllRuns())


@pytest.fixture
async def known(tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a server that knows the identities."""
    async with with_identities(tmp_path) as client:
        yield client


async def refusal(stub: Any, method: str, messages: Any, metadata: Any, **fields: Any) -> Any:
    """Code, message and trailers of a call that fails."""
    request = getattr(messages, f"{method}Request")(**fields)
    made = getattr(stub, method)(request, metadata=metadata)
    return await made.code(), await made.details(), dict(await made.trailing_metadata())


def without(run_id: str, answer: Any) -> Any:
    """An answer without the id that the caller itself sent."""
    code, details, trailers = answer
    blank = {
        key: value.replace(run_id.encode(), b"?") if isinstance(value, bytes) else value
        for key, value in trailers.items()
    }
    return code, details.replace(run_id, "?"), blank


async def a_run_of_b(client: Client) -> str:
    spec = RunSpec(thread_id="t")
    answer = await B.calls(client).runs.Create(run_service_pb2.CreateRequest(spec=spec))
    return str(answer.run.run_id)


@pytest.mark.parametrize("method", [*ON_A_RUN, "StreamStatus", "resumed"])
@pytest.mark.parametrize("is_cached", [True, False], ids=["cached", "from the file"])
async def test_a_foreign_run_gets_the_bytes_of_an_unknown_one(
    tmp_path: Path, method: str, is_cached: bool
) -> None:
    async with with_identities(tmp_path) as client:
        foreign = await a_run_of_b(client)
        if is_cached:
            await compare(client, method, foreign)
    if not is_cached:
        async with with_identities(tmp_path) as client:
            await compare(client, method, foreign)


async def compare(client: Client, method: str, foreign: str) -> None:
    """Make a call on a foreign run and on one that does not exist."""
    is_admin = method == "Delete"
    # An administrator that narrows its call sees one owner's runs too.
    caller = Identity("", ADMIN.principal, "a") if is_admin else A
    stub = client.admin if is_admin else client.runs
    messages = admin_service_pb2 if is_admin else run_service_pb2
    fields = dict(ON_A_RUN.get(method, {}))
    if method == "resumed":
        method, fields = "StreamStatus", {"after_revision": 0, "attach": True}
    unknown = str(uuid4())
    found = []
    for run_id in (foreign, unknown):
        metadata = (*caller.metadata, FIXED)
        answer = await refusal(stub, method, messages, metadata, run_id=run_id, **fields)
        assert answer[0] is grpc.StatusCode.NOT_FOUND
        found.append(without(run_id, answer))
    assert found[0] == found[1]


async def test_owners_share_ids_of_threads_and_requests_without_meeting(known: Client) -> None:
    answers = []
    for who in (A, B, Identity("", SERVICE.principal, "c"), SERVICE):
        request = run_service_pb2.CreateOrRejectRequest(
            spec=RunSpec(thread_id="t", assistant_id="x"), request_id="q"
        )
        for is_replay in (False, True):
            answer = await who.calls(known).runs.CreateOrReject(request)
            assert answer.replayed == is_replay
        answers.append(answer.run)
    assert [run.owner for run in answers] == ["a", "b", "c", ""]
    assert len({run.run_id for run in answers}) == 4


async def test_a_displacement_leaves_the_runs_of_other_owners(known: Client) -> None:
    foreign = await a_run_of_b(known)
    spec = RunSpec(thread_id="t", multitask_strategy=INTERRUPT)  # type: ignore[arg-type]
    mine = A.calls(known).runs
    first = await mine.Create(run_service_pb2.CreateRequest(spec=spec))
    second = await mine.CreateOrReject(run_service_pb2.CreateOrRejectRequest(spec=spec))
    assert [run.run_id for run in second.superseded] == [first.run.run_id]
    assert second.superseded[0].cancellation.requested_by == "ann"
    theirs = await B.calls(known).runs.Get(run_service_pb2.GetRequest(run_id=foreign))
    assert not theirs.run.HasField("ended_at")


async def test_a_busy_thread_names_a_run_of_the_caller(known: Client) -> None:
    await a_run_of_b(known)
    request = run_service_pb2.CreateOrRejectRequest(spec=RunSpec(thread_id="t"))
    run = (await A.calls(known).runs.CreateOrReject(request)).run
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await A.calls(known).runs.CreateOrReject(request)
    assert error_of(caught.value).metadata["run_id"] == run.run_id


async def test_a_page_token_of_another_owner_is_refused(known: Client) -> None:
    for who in (A, B):
        for _ in range(2):
            spec = RunSpec(thread_id="t")
            await who.calls(known).runs.Create(run_service_pb2.CreateRequest(spec=spec))
    request = run_service_pb2.ListByThreadRequest(thread_id="t", page_size=1)
    request.page_token = (await A.calls(known).runs.ListByThread(request)).next_page_token
    assert len((await A.calls(known).runs.ListByThread(request)).runs) == 1
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await B.calls(known).runs.ListByThread(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_watch_of_all_has_the_changes_of_its_scope_only(known: Client) -> None:
    request = run_service_pb2.StreamStatusRequest(all=AllRuns())
    streams = {who.name: who.calls(known).runs.StreamStatus(request) for who in (A, B, SERVICE)}
    for stream in streams.values():
        assert (await stream.read()).event == SNAPSHOT_END
    runs = {}
    for who in (B, A):
        spec = RunSpec(thread_id="t")
        answer = await who.calls(known).runs.Create(run_service_pb2.CreateRequest(spec=spec))
        runs[who.name] = answer.run.run_id
    assert (await streams["A"].read()).run.run_id == runs["A"]
    assert (await streams["B"].read()).run.run_id == runs["B"]
    both = [(await streams["service"].read()).run.run_id for _ in range(2)]
    assert both == [runs["B"], runs["A"]]
    complete = run_service_pb2.CompleteRequest(run_id=runs["B"], status=SUCCESS)  # type: ignore[arg-type]
    await SERVICE.calls(known).runs.Complete(complete)
    delete = admin_service_pb2.DeleteRequest(run_id=runs["B"])
    await ADMIN.calls(known).admin.Delete(delete)
    events = [(await streams["B"].read()).event for _ in range(2)]
    assert events == [CHANGED, DELETED]
    spec = RunSpec(thread_id="last")
    answer = await A.calls(known).runs.Create(run_service_pb2.CreateRequest(spec=spec))
    assert (await streams["A"].read()).run.run_id == answer.run.run_id


@pytest.mark.parametrize(
    ("owner", "is_valid"),
    [
        ("a", True),
        ("", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("a b", False),
        ("~!|@", True),
    ],
)
async def test_the_form_of_an_owner(client: Client, owner: str, is_valid: bool) -> None:
    platform = Identity("", None, owner).calls(client).runs
    request = run_service_pb2.CreateRequest(spec=RunSpec(thread_id="t"))
    if is_valid:
        assert (await platform.Create(request)).run.owner == owner
    else:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await platform.Create(request)
        assert [fault.field for fault in error_of(caught.value).violations] == ["runsvc-owner"]


async def test_an_owner_is_sent_once(client: Client) -> None:
    twice = (("runsvc-owner", "a"), ("runsvc-owner", "a"))
    answer = await refusal(client.runs, "Get", run_service_pb2, twice, run_id="r")
    assert answer[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_without_authentication_a_call_narrows_itself(client: Client) -> None:
    a, b = (Identity("", None, owner).calls(client).runs for owner in "ab")
    request = run_service_pb2.CreateRequest(spec=RunSpec(thread_id="t"))
    run_id = (await a.Create(request)).run.run_id
    get = run_service_pb2.GetRequest(run_id=run_id)
    assert (await a.Get(get)).run.owner == "a"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await b.Get(get)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    # Whoever does not narrow its calls sees every run by its id, and threads of the platform only.
    assert (await call(client, "Get", run_id=run_id)).run.owner == "a"
    assert not (await call(client, "ListByThread", thread_id="t")).runs


@asynccontextmanager
async def watching_briefly(folder: Path) -> AsyncIterator[tuple[Client, Any]]:
    """A client, and a watch of all runs of owner "a" whose credential ends in a moment."""
    left = timedelta(seconds=1.5)
    while True:
        brief = principal("brief", "a", Role.USER, left=left)
        async with with_identities(folder, brief) as client:
            stream = Identity("", brief).calls(client).runs.StreamStatus(ALL)
            try:
                assert (await stream.read()).event == SNAPSHOT_END
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                    raise
                # It had ended before the server was ready.
                left *= 2
                continue
            yield client, stream
            return


async def test_a_stream_ends_with_its_credential(tmp_path: Path) -> None:
    async with watching_briefly(tmp_path) as (client, ending):
        lasting = A.calls(client).runs.StreamStatus(ALL)
        assert (await lasting.read()).event == SNAPSHOT_END
        async with asyncio.timeout(PATIENCE):
            assert await ending.code() is grpc.StatusCode.UNAUTHENTICATED
        spec = RunSpec(thread_id="t")
        await A.calls(client).runs.Create(run_service_pb2.CreateRequest(spec=spec))
        async with asyncio.timeout(PATIENCE):
            event = await lasting.read()
            while event.event == HEARTBEAT:
                event = await lasting.read()
        assert event.event == CHANGED


async def test_a_busy_stream_ends_with_its_credential(tmp_path: Path) -> None:
    async with watching_briefly(tmp_path) as (client, stream):
        create = run_service_pb2.CreateRequest(spec=RunSpec(thread_id="t"))
        reading = asyncio.create_task(drained(stream))
        async with asyncio.timeout(PATIENCE):
            while not reading.done():
                answer = await A.calls(client).runs.Create(create)
                await SERVICE.calls(client).runs.Cancel(
                    run_service_pb2.CancelRequest(run_id=answer.run.run_id)
                )
            assert await stream.code() is grpc.StatusCode.UNAUTHENTICATED


async def drained(stream: Any) -> None:
    """Read a stream up to its end."""
    with suppress(grpc.aio.AioRpcError):
        while await stream.read() is not grpc.aio.EOF:
            pass


async def test_an_owner_has_a_number_of_active_runs(db: StorePlace) -> None:
    async with in_process(db, max_active_per_owner=2) as client:
        a, b = (Identity("", None, owner).calls(client).runs for owner in "ab")
        for thread in ("t", "u"):
            request = run_service_pb2.CreateRequest(
                spec=RunSpec(thread_id=thread), request_id=thread
            )
            run = (await a.Create(request)).run
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await a.Create(run_service_pb2.CreateRequest(spec=RunSpec(thread_id="v")))
        error = error_of(caught.value)
        assert (error.reason, error.retry_after) == ("OVERLOADED", 1.0)
        # A repeated creation, another owner, and a displacement have room.
        assert (await a.Create(request)).replayed
        await b.Create(request)
        spec = RunSpec(thread_id="u", multitask_strategy=INTERRUPT)  # type: ignore[arg-type]
        displacing = await a.CreateOrReject(run_service_pb2.CreateOrRejectRequest(spec=spec))
        assert [each.run_id for each in displacing.superseded] == [run.run_id]
        await a.Cancel(run_service_pb2.CancelRequest(run_id=displacing.run.run_id))
        await a.Create(run_service_pb2.CreateRequest(spec=RunSpec(thread_id="v")))
