"""The decisions of a watch that was cut off: where it goes on, when, and when no more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
import pytest

from runsvc.client import RunError, Unavailable
from runsvc.client.resume import Resumption, watch_request
from runsvc.v1.run_pb2 import AllRuns, Run
from runsvc.v1.run_service_pb2 import StreamStatusRequest, StreamStatusResponse

GONE = Unavailable(grpc.StatusCode.UNAVAILABLE, from_transport=True)
COMPACTED = RunError(grpc.StatusCode.OUT_OF_RANGE, "REVISION_COMPACTED")


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def event(name: str, revision: int = 0, status: str = "", **more: Any) -> StreamStatusResponse:
    run = Run(run_id="r1", status=f"RUN_STATUS_{status}") if status else None
    return StreamStatusResponse(event=f"STATUS_EVENT_{name}", revision=revision, run=run, **more)


def resumption(clock: Clock | None = None, **more: Any) -> Resumption:
    settings = {name: more.pop(name) for name in ("outage", "resnapshot") if name in more}
    request = StreamStatusRequest(**(more or {"all": {}}))
    watch = Resumption(request, now=clock or Clock(), **settings)
    watch.opening()
    return watch


SNAPSHOT = event("SNAPSHOT", status="RUNNING")
END = event("SNAPSHOT_END", 5, store_id="s")
CHANGED = event("CHANGED", 6, "RUNNING")


@pytest.mark.parametrize(
    ("heard", "revision", "store_id"),
    [
        ([], None, ""),
        ([SNAPSHOT], None, ""),
        ([SNAPSHOT, END], 5, "s"),
        ([event("SNAPSHOT_END", 0, store_id="s")], 0, "s"),
        ([END, CHANGED], 6, "s"),
        ([END, event("DELETED", 7)], 7, "s"),
        ([END, event("HEARTBEAT", 8, store_id="t")], 8, "t"),
        ([END, event("PROGRESS", status="RUNNING")], 5, "s"),
    ],
)
def test_it_goes_on_behind_the_last_position(
    heard: list[Any], revision: int | None, store_id: str
) -> None:
    watch = resumption()
    for each in heard:
        watch.heard(each)
    expected = StreamStatusRequest(all={}, after_revision=revision, store_id=store_id)
    assert watch.opening() == expected


def test_everything_else_is_asked_for_as_at_first() -> None:
    asked: dict[str, Any] = {"thread_id": "t", "after_revision": 3, "store_id": "s"}
    asked["include_progress"] = True
    watch = resumption(**asked)
    assert watch.opening() == StreamStatusRequest(**asked)
    watch.heard(event("HEARTBEAT", 9))
    assert watch.opening() == StreamStatusRequest(**asked | {"after_revision": 9})


def test_a_snapshot_that_was_cut_starts_over() -> None:
    watch = resumption(run_id="r1")
    watch.heard(event("SNAPSHOT", status="SUCCESS"))
    assert watch.cut(GONE) is not None
    assert watch.opening() == StreamStatusRequest(run_id="r1")


def failing(code: str, reason: str = "", from_transport: bool = True) -> RunError:
    return RunError(grpc.StatusCode[code], reason, from_transport=from_transport)


@pytest.mark.parametrize(
    "error",
    [
        GONE,
        failing("UNAVAILABLE", "SERVER_DRAINING", from_transport=False),
        failing("UNAVAILABLE", "STORE_UNAVAILABLE", from_transport=False),
        failing("INTERNAL"),
        failing("CANCELLED"),
    ],
)
def test_what_passes_is_made_up_for(error: RunError) -> None:
    assert resumption().cut(error) is not None


@pytest.mark.parametrize(
    "error",
    [
        failing("INTERNAL", from_transport=False),
        failing("CANCELLED", from_transport=False),
        failing("NOT_FOUND", "RUN_NOT_FOUND", from_transport=False),
        failing("UNAUTHENTICATED"),
        failing("DEADLINE_EXCEEDED"),
    ],
)
def test_everything_else_is_raised(error: RunError) -> None:
    with pytest.raises(RunError) as raised:
        resumption().cut(error)
    assert raised.value is error


def test_pauses_grow_and_start_anew_after_a_message() -> None:
    watch = resumption(outage=1_000)
    pauses = [watch.cut(GONE) or 0 for _ in range(10)]
    longest = [0.05 * 2**step for step in range(6)] + [2.0] * 4
    for pause, most in zip(pauses, longest, strict=True):
        assert most / 2 <= pause <= most
    watch.heard(CHANGED)
    assert (watch.cut(GONE) or 1) <= 0.05


def test_the_server_may_ask_for_a_longer_pause() -> None:
    draining = Unavailable(grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING", retry_after=1.0)
    assert 1.0 < (resumption().cut(draining) or 0) <= 1.05


def test_it_gives_up_after_the_outage() -> None:
    clock = Clock()
    watch = resumption(clock, outage=30)
    watch.heard(CHANGED)
    clock.now += 1_000
    assert watch.cut(GONE) is not None
    for _ in range(5):
        clock.now += 5
        watch.opening()
        assert watch.cut(GONE) is not None
    clock.now += 5
    watch.opening()
    with pytest.raises(Unavailable):
        watch.cut(GONE)


def test_an_outage_ends_with_a_message_or_with_a_stream_that_stood() -> None:
    clock = Clock()
    watch = resumption(clock, outage=30)
    for heard in ([CHANGED], []):
        assert watch.cut(GONE) is not None
        watch.opening()
        for each in heard:
            watch.heard(each)
        clock.now += 31
        assert watch.cut(GONE) is not None


def test_no_outage_is_waited_for_if_none_is_asked_for() -> None:
    with pytest.raises(Unavailable):
        resumption(outage=0).cut(GONE)


@pytest.mark.parametrize("reason", ["REVISION_COMPACTED", "REVISION_UNKNOWN"])
def test_a_log_that_does_not_go_on_is_a_snapshot_if_that_is_asked_for(reason: str) -> None:
    watch = resumption(all={}, after_revision=1, store_id="s", resnapshot=True)
    assert watch.cut(failing("OUT_OF_RANGE", reason, from_transport=False)) is not None
    assert watch.opening() == StreamStatusRequest(all={})


def test_who_has_no_revision_yet_asks_for_another_snapshot() -> None:
    watch = resumption(run_id="r1")
    watch.heard(SNAPSHOT)
    assert watch.cut(COMPACTED) is not None
    assert watch.opening() == StreamStatusRequest(run_id="r1")
    watch.heard(event("SNAPSHOT_END", 3))
    with pytest.raises(RunError):
        watch.cut(COMPACTED)


def test_who_named_a_revision_is_told_that_it_is_gone() -> None:
    with pytest.raises(RunError):
        resumption(all={}, after_revision=1).cut(COMPACTED)


ACKNOWLEDGED = event("CHANGED", 7, "INTERRUPTED")
ACKNOWLEDGED.run.cancellation.acknowledged_at.seconds = 1


@pytest.mark.parametrize(
    ("asked", "last", "is_over"),
    [
        ({"run_id": "r1"}, event("CHANGED", 7, "SUCCESS"), True),
        ({"run_id": "r1"}, event("CHANGED", 7, "RUNNING"), False),
        ({"run_id": "r1"}, event("CHANGED", 7, "INTERRUPTED"), True),
        ({"run_id": "r1"}, event("DELETED", 7, "SUCCESS"), True),
        (
            {"run_id": "r1", "until_acknowledged": True},
            event("CHANGED", 7, "INTERRUPTED"),
            False,
        ),
        ({"run_id": "r1", "until_acknowledged": True}, ACKNOWLEDGED, True),
        ({"run_id": "r1", "until_acknowledged": True}, event("CHANGED", 7, "ERROR"), True),
        ({"run_id": "r1"}, event("CHANGED", 7, "UNSPECIFIED"), False),
        ({"thread_id": "t"}, event("CHANGED", 7, "SUCCESS"), False),
        ({"all": {}}, event("DELETED", 7), False),
    ],
)
def test_behind_the_last_change_no_server_is_waited_for(
    asked: Any, last: Any, is_over: bool
) -> None:
    watch = resumption(**asked)
    watch.heard(last)
    # Once more, for what the server may not have had the time to tell.
    assert watch.cut(GONE) is not None
    assert (watch.cut(GONE) is None) is is_over


def test_a_snapshot_of_a_run_that_ended_is_the_end() -> None:
    watch = resumption(run_id="r1")
    watch.heard(event("SNAPSHOT", status="SUCCESS"))
    watch.heard(END)
    assert watch.cut(GONE) is not None
    assert watch.cut(GONE) is None


NOTHING: dict[str, Any] = {
    "run_id": None,
    "thread_id": None,
    "all_runs": False,
    "assistant_id": None,
    "heartbeat_interval": None,
    "after_revision": None,
    "store_id": "",
    "include_progress": False,
    "attach": False,
    "until_acknowledged": False,
}


def test_what_is_asked_for() -> None:
    asked = watch_request(**NOTHING | {"run_id": "r1", "attach": True, "heartbeat_interval": 1.5})
    interval = timedelta(seconds=1.5)
    assert asked == StreamStatusRequest(run_id="r1", attach=True, heartbeat_interval=interval)
    asked = watch_request(**NOTHING | {"all_runs": True, "assistant_id": "a", "after_revision": 0})
    assert asked == StreamStatusRequest(all=AllRuns(assistant_id="a"), after_revision=0)
    assert watch_request(**NOTHING | {"all_runs": True}).WhichOneof("target") == "all"
    asked = watch_request(**NOTHING | {"thread_id": "t", "until_acknowledged": True})
    assert asked == StreamStatusRequest(thread_id="t", until_acknowledged=True)


@pytest.mark.parametrize(
    "asked",
    [
        {"run_id": "r1", "thread_id": "t"},
        {"run_id": "r1", "all_runs": True},
        {"run_id": "r1", "assistant_id": "a"},
    ],
)
def test_a_watch_has_one_target_at_most(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"name one thing|needs all_runs"):
        watch_request(**NOTHING | asked)
