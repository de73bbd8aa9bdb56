"""Tokens of both clients: from a file, and renewed once when the server refuses one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from runsvc.client import RunError
from runsvc.client.token_file import TokenFile
from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_pb2 import Run, RunSpec
from tests.support.both_clients import make_client
from tests.support.scripted import Refusal
from tests.support.workers import Work, working

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.scripted import Script

REFUSED = Refusal(grpc.StatusCode.UNAUTHENTICATED, "ended", "UNAUTHENTICATED")
RUN = Run(run_id="r1")
HEARTBEAT = pb.StreamStatusResponse(event="STATUS_EVENT_HEARTBEAT", revision=1)
ENDED = pb.StreamStatusResponse(
    event="STATUS_EVENT_CHANGED", revision=2, run=Run(run_id="r1", status="RUN_STATUS_SUCCESS")
)


def numbered() -> Any:
    """A function that returns a new token each time."""
    numbers = iter(range(1, 100))
    return lambda: f"t{next(numbers)}"


def sent(script: Script) -> list[str]:
    return [each["authorization"].removeprefix("Bearer ") for each in script.metadata]


async def test_any_call_is_repeated_once_with_a_new_token(
    kind: Any, target: str, script: Script
) -> None:
    script.will("Create", REFUSED, pb.CreateResponse(run=RUN))
    script.will("Get", REFUSED, REFUSED)
    async with make_client(kind, target, token=numbered()) as client:
        await client.create(RunSpec(thread_id="t"))
        with pytest.raises(RunError, match="UNAUTHENTICATED"):
            await client.get("r1")
    assert sent(script) == ["t1", "t2", "t3", "t4"]


async def test_the_same_token_is_not_sent_again(
    kind: Any, target: str, script: Script, tmp_path: Path
) -> None:
    file = tmp_path / "my.token"
    file.write_text("one")
    script.will("Get", REFUSED, REFUSED)
    script.will("StreamStatus", [HEARTBEAT, REFUSED], [REFUSED])
    for token in (file, lambda: "one"):
        async with make_client(kind, target, token=token) as client:
            with pytest.raises(RunError, match="UNAUTHENTICATED"):
                await client.get("r1")
            with pytest.raises(RunError, match="UNAUTHENTICATED"):
                [event async for event in client.watch("r1")]
    assert sent(script) == ["one"] * 4


async def test_the_input_of_an_execution_is_read_with_a_new_token(
    kind: Any, target: str, script: Script
) -> None:
    script.will("Get", REFUSED, pb.GetResponse(run=Run(run_id="r1", revision=1)))
    refusal = Refusal(grpc.StatusCode.NOT_FOUND, "gone", "RUN_NOT_FOUND")
    script.will("SetStatus", refusal)
    async with make_client(kind, target, token=numbered()) as client:
        with pytest.raises(RunError, match="RUN_NOT_FOUND"):
            await working(getattr(client, "_client", client), Work("r1"))
    assert sent(script) == ["t1", "t2", "t3"]


async def test_a_file_may_come_after_the_client(
    kind: Any, target: str, script: Script, tmp_path: Path
) -> None:
    file = tmp_path / "my.token"
    script.will("Get", pb.GetResponse(run=RUN))
    script.will("StreamStatus", [ENDED])
    async with make_client(kind, target, token=file) as client:
        for call in (client.get("r1"), anext(client.watch("r1"))):
            with pytest.raises(RunError, match=r"UNAUTHENTICATED: .*my\.token"):
                await call
        file.write_text("one")
        await client.get("r1")
        assert await anext(client.watch("r1")) == ENDED
    assert sent(script) == ["one"] * 2


async def test_a_token_that_cannot_be_renewed_is_sent_once(
    kind: Any, target: str, script: Script
) -> None:
    script.will("Get", REFUSED)
    script.will("StreamStatus", [REFUSED])
    async with make_client(kind, target, token="fixed") as client:
        with pytest.raises(RunError):
            await client.get("r1")
        with pytest.raises(RunError):
            await anext(client.watch("r1"))
    assert sent(script) == ["fixed"] * 2


async def test_a_watch_resumes_with_a_new_token_whenever_one_ends(
    kind: Any, target: str, script: Script
) -> None:
    script.will("StreamStatus", [HEARTBEAT, REFUSED], [HEARTBEAT, REFUSED], [ENDED])
    async with make_client(kind, target, token=numbered()) as client:
        events = [event async for event in client.watch("r1")]
    assert events == [HEARTBEAT, HEARTBEAT, ENDED]
    assert sent(script) == ["t1", "t2", "t3"]
    assert script.asked[2].after_revision == 1


async def test_a_watch_whose_new_token_is_refused_too_fails(
    kind: Any, target: str, script: Script
) -> None:
    script.will("StreamStatus", [HEARTBEAT, REFUSED], [REFUSED])
    async with make_client(kind, target, token=numbered()) as client:
        watch = client.watch("r1")
        assert await anext(watch) == HEARTBEAT
        with pytest.raises(RunError, match="UNAUTHENTICATED"):
            await anext(watch)
    assert sent(script) == ["t1", "t2"]


async def test_a_file_is_read_before_each_call(
    kind: Any, target: str, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "my.token"
    file.write_text("one\n")
    monkeypatch.setenv("RUNSVC_TOKEN_FILE", str(file))
    monkeypatch.delenv("RUNSVC_TOKEN", raising=False)
    script.will("Get", *[pb.GetResponse(run=RUN)] * 4)
    for token in ({"token": file}, {}):
        async with make_client(kind, target, **token) as client:
            await client.get("r1")
            file.write_text("two\n")
            await client.get("r1")
            file.write_text("one\n")
    monkeypatch.setenv("RUNSVC_TOKEN", "value")
    script.will("Get", pb.GetResponse(run=RUN))
    async with make_client(kind, target) as client:
        await client.get("r1")
    assert sent(script) == ["one", "two", "one", "two", "value"]


def test_a_file_that_is_missing_or_empty_for_a_moment_keeps_its_token(tmp_path: Path) -> None:
    file = tmp_path / "my.token"
    file.write_text(" one\n")
    token = TokenFile(file)
    assert token() == "one"
    file.write_text("")
    assert token() == "one"
    file.unlink()
    assert token() == "one"
    file.write_text("two")
    assert token() == "two"


@pytest.mark.parametrize("content", ["", "\n", "two words", "a\nb", "é"])
def test_a_file_without_a_token_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "my.token"
    file.write_text(content)
    with pytest.raises(RunError, match=r"UNAUTHENTICATED: .*my\.token must hold one") as caught:
        TokenFile(file)()
    assert "words" not in str(caught.value)
