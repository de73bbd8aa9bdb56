"""The matrix of permissions: every identity makes every call, and each cell is as the table of permissions says.

The cells come from the table. A new method needs a row there, and a call here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc
import pytest
import trustme
from google.protobuf.duration_pb2 import Duration

from runsvc.auth.permissions import TABLE
from runsvc.client import error_of
from runsvc.core.owners import covers
from runsvc.v1 import admin_service_pb2, run_service_pb2
from runsvc.v1.run_pb2 import AllRuns, RunSpec
from tests.support.calls import RUNNING, SNAPSHOT_END, SUCCESS
from tests.support.identities import ADMIN, IDENTITIES, SERVICE, Identity, with_identities
from tests.support.secure import TlsFolder, replace
from tests.support.server import in_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from tests.support.server import Client

OWNERS: Final = ("a", "b", "")
RUNS, ADMINISTRATION = TABLE["runsvc.v1.RunService"], TABLE["runsvc.v1.AdminService"]
SPEC: Final = RunSpec(thread_id="new", assistant_id="x")

#: Calls on one run.
ON_A_RUN: Final[Mapping[str, Mapping[str, Any]]] = {
    "Get": {},
    "SetStatus": {"status": RUNNING},
    "Complete": {"status": SUCCESS},
    "UpdateProgress": {},
    "UpdateModelName": {"model_name": "m"},
    "UpdateMetadata": {"set": {"k": "v"}},
    "Heartbeat": {"worker_id": "w"},
    "Cancel": {},
    "AcknowledgeCancel": {},
    "Release": {"worker_id": "w"},
    "Delete": {},
}
#: Calls on the thread of one owner.
ON_A_THREAD: Final = ("ListByThread", "HasInflight")
CREATIONS: Final = ("Create", "CreateOrReject")
#: Calls on the whole scope.
ON_THE_SCOPE: Final = ("ReconcileOrphans", "Claim")
#: Calls on the server.
ON_THE_SERVER: Final = ("GetServerInfo", "SetConcurrencyLimit", "ListConcurrencyLimits")
STREAMS: Final = ("StreamStatus",)
#: Calls that need a cancelled run.
AFTER_A_CANCEL: Final = ("AcknowledgeCancel", "Delete")
#: Calls that need a run with a holder.
AFTER_A_START: Final = ("Release",)


class World:
    """A server on which each owner has one run on the same thread, and the calls of one identity."""

    def __init__(self, client: Client, identity: Identity) -> None:
        self.identity = identity
        self.calls = identity.calls(client)
        self._client = client
        #: Owners by the run that `fill` created.
        self.owners: dict[str, str] = {}

    async def fill(self) -> None:
        for owner in OWNERS:
            self.owners[await self.run_of(owner, "t")] = owner

    async def run_of(self, owner: str, thread_id: str = "other") -> str:
        """Create a run for an owner."""
        calls = Identity("", SERVICE.principal, owner).calls(self._client)
        spec = RunSpec(thread_id=thread_id, assistant_id="x")
        answer = await calls.runs.Create(run_service_pb2.CreateRequest(spec=spec))
        assert answer.run.owner == owner
        return str(answer.run.run_id)

    async def cancel(self, run_id: str) -> None:
        await ADMIN.calls(self._client).runs.Cancel(run_service_pb2.CancelRequest(run_id=run_id))

    async def start(self, run_id: str) -> None:
        request = run_service_pb2.SetStatusRequest(
            run_id=run_id, status="RUN_STATUS_RUNNING", worker_id="w"
        )
        await ADMIN.calls(self._client).runs.SetStatus(request)

    def owners_of(self, run_ids: Any) -> list[str]:
        """The owners of runs that `fill` created, sorted."""
        return sorted(self.owners[each] for each in run_ids if each in self.owners)


@pytest.fixture(params=IDENTITIES, ids=lambda each: each.name)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with with_identities(tmp_path) as client:
        world = World(client, request.param)
        await world.fill()
        yield world


@pytest.mark.parametrize("service", TABLE)
async def test_a_client_certificate_of_another_authority(tmp_path: Path, service: str) -> None:
    files = TlsFolder(tmp_path / "tls")
    mapping = replace(tmp_path / "certs.txt", b"ann a user dns:ann.test\n")
    settings = {**files.settings(clients=True), "auth_certs": mapping}
    async with in_process(tmp_path / "runs.db", **settings) as plain:
        for authority in (None, trustme.CA()):
            identity = files.identity("ann.test", authority=authority)
            credentials = grpc.ssl_channel_credentials(
                files.trusted, identity["tls_key"], identity["tls_cert"]
            )
            async with grpc.aio.secure_channel(plain.address, credentials) as channel:
                found = {await raw_outcome(channel, service, method) for method in TABLE[service]}
            if authority is None:
                # Every call reached the server, which knew the caller.
                assert not {each for each in found if each in ("UNAVAILABLE", "UNAUTHENTICATED")}
            else:
                assert found == {"UNAVAILABLE"}


async def raw_outcome(channel: Any, service: str, method: str) -> Any:
    """The reason of the error of a call with an empty request."""
    path = f"/{service}/{method}"
    if method in STREAMS:
        stream: Any = channel.unary_stream(path)(b"")
        return await outcome(stream.read())
    return await outcome(channel.unary_unary(path)(b""))


def refusal(identity: Identity, method: str) -> str | None:
    """The error of every call of an identity, whatever it names; None if there is none."""
    principal = identity.principal
    if principal is None or identity.name == "expired":
        return "UNAUTHENTICATED"
    roles = {**RUNS, **ADMINISTRATION}[method]
    if identity.is_foreign or not principal.roles & roles:
        return "PERMISSION_DENIED"
    return None


async def outcome(call: Any) -> Any:
    """The answer of a call, or the reason of its error."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        return error_of(error).reason or error.code().name


def request_of(method: str, **fields: Any) -> Any:
    messages: Any = admin_service_pb2 if method in ADMINISTRATION else run_service_pb2
    return getattr(messages, f"{method}Request")(**fields)


async def make(world: World, method: str, **fields: Any) -> Any:
    stub = world.calls.admin if method in ADMINISTRATION else world.calls.runs
    return await outcome(getattr(stub, method)(request_of(method, **fields)))


def test_every_method_of_the_contract_has_a_row_and_a_call() -> None:
    for module in (run_service_pb2, admin_service_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            assert set(TABLE[service.full_name]) == set(service.methods_by_name)
    tried = {*ON_A_RUN, *ON_A_THREAD, *CREATIONS, *ON_THE_SCOPE, *ON_THE_SERVER, *STREAMS}
    assert tried == {*RUNS, *ADMINISTRATION}


async def test_calls_on_a_run(world: World) -> None:
    found, expected = {}, {}
    for method, fields in ON_A_RUN.items():
        for owner in OWNERS:
            run_id = await world.run_of(owner)
            if method in AFTER_A_CANCEL:
                await world.cancel(run_id)
            if method in AFTER_A_START:
                await world.start(run_id)
            answer = await make(world, method, run_id=run_id, **fields)
            found[method, owner] = answer if isinstance(answer, str) else "done"
            expected[method, owner] = refusal(world.identity, method) or (
                "done" if covers(world.identity.scope, owner) else "RUN_NOT_FOUND"
            )
    assert found == expected


async def test_calls_on_a_thread(world: World) -> None:
    found, expected = {}, {}
    for method in ON_A_THREAD:
        answer = await make(world, method, thread_id="t")
        if not isinstance(answer, str):
            listed = [run.run_id for run in answer.runs] if method == "ListByThread" else None
            answer = world.owners_of(answer.run_ids if listed is None else listed)
        found[method] = answer
        expected[method] = refusal(world.identity, method) or [world.identity.scope or ""]
    assert found == expected


async def test_creations(world: World) -> None:
    found, expected = {}, {}
    for number, method in enumerate(CREATIONS):
        spec = RunSpec(thread_id=f"new-{number}")
        answer = await make(world, method, spec=spec, request_id="same")
        found[method] = answer if isinstance(answer, str) else answer.run.owner
        expected[method] = refusal(world.identity, method) or world.identity.scope or ""
    assert found == expected


async def test_claims(world: World) -> None:
    lease, wait = Duration(seconds=9), Duration()
    answer = await make(
        world,
        "Claim",
        worker_id="w",
        any_assistant=True,
        max_runs=9,
        lease_ttl=lease,
        wait=wait,
    )
    if (expected := refusal(world.identity, "Claim")) is not None:
        assert answer == expected
    else:
        scope = world.identity.scope
        claimed = world.owners_of(run.run_id for run in answer.runs)
        assert claimed == sorted(owner for owner in OWNERS if covers(scope, owner))


async def test_streams(world: World) -> None:
    found, expected = {}, {}
    targets: dict[str, dict[str, Any]] = {
        "thread": {"thread_id": "t"},
        "all": {"all": AllRuns()},
        "assistant": {"all": AllRuns(assistant_id="x")},
    }
    targets |= {f"run of {owner}": {"run_id": each} for each, owner in world.owners.items()}
    for name, target in targets.items():
        found[name] = await watched_owners(world, target)
        expected[name] = refusal(world.identity, "StreamStatus") or expected_owners(world, name)
    assert found == expected


async def watched_owners(world: World, target: dict[str, Any]) -> Any:
    """The owners of the runs in the snapshot of a stream, or the reason of its error."""
    call = world.calls.runs.StreamStatus(run_service_pb2.StreamStatusRequest(**target))
    run_ids = []
    try:
        async for event in call:
            if event.event == SNAPSHOT_END:
                break
            run_ids.append(event.run.run_id)
    except grpc.aio.AioRpcError as error:
        return error_of(error).reason or error.code().name
    finally:
        call.cancel()
    return world.owners_of(run_ids)


def expected_owners(world: World, name: str) -> Any:
    scope = world.identity.scope
    if name == "thread":
        return [scope or ""]
    if name in ("all", "assistant"):
        return sorted(owner for owner in OWNERS if covers(scope, owner))
    owner = name.removeprefix("run of ")
    return [owner] if covers(scope, owner) else "RUN_NOT_FOUND"


async def test_administration(world: World) -> None:
    for method in ON_THE_SERVER:
        answer = await make(world, method)
        expected = refusal(world.identity, method)
        assert expected == (answer if isinstance(answer, str) else None)
    answer = await make(world, "ReconcileOrphans")
    if (expected := refusal(world.identity, "ReconcileOrphans")) is not None:
        assert answer == expected
    else:
        scope = world.identity.scope
        ended = world.owners_of(run.run_id for run in answer.runs)
        assert ended == sorted(owner for owner in OWNERS if covers(scope, owner))
