"""How an interrupted watch resumes: position, pauses, and when it gives up."""

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
    watch.next_request()
    return watch


SNAPSHOT = event("SNAPSHOT", status="RUNNING")
END = event("SNAPSHOT_END", 5, store_id="s")
CHANGED = event("CHANGED", 6, "RUNNING")


@pytest.mark.parametrize(
    ("events", "revision", "store_id"),
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
def test_resumes_after_the_last_revision(
    events: list[Any], revision: int | None, store_id: str
) -> None:
    watch = resumption()
    for each in events:
        watch.record(each)
    expected = StreamStatusRequest(all={}, after_revision=revision, store_id=store_id)
    assert watch.next_request() == expected


def test_other_fields_of_the_request_stay() -> None:
    fields: dict[str, Any] = {"thread_id": "t", "after_revision": 3, "store_id": "s"}
    fields["include_progress"] = True
    watch = resumption(**fields)
    assert watch.next_request() == StreamStatusRequest(**fields)
    watch.record(event("HEARTBEAT", 9))
    assert watch.next_request() == StreamStatusRequest(**fields | {"after_revision": 9})


def test_interrupted_snapshot_starts_over() -> None:
    watch = resumption(run_id="r1")
    watch.record(event("SNAPSHOT", status="SUCCESS"))
    assert watch.pause_after(GONE) is not None
    assert watch.next_request() == StreamStatusRequest(run_id="r1")


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
def test_transient_errors_are_retried(error: RunError) -> None:
    assert resumption().pause_after(error) is not None


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
def test_other_errors_are_raised(error: RunError) -> None:
    with pytest.raises(RunError) as raised:
        resumption().pause_after(error)
    assert raised.value is error


def test_pauses_grow_and_are_reset_by_an_event() -> None:
    watch = resumption(outage=1_000)
    pauses = [watch.pause_after(GONE) or 0 for _ in range(10)]
    longest = [0.05 * 2**step for step in range(6)] + [2.0] * 4
    for pause, most in zip(pauses, longest, strict=True):
        assert most / 2 <= pause <= most
    watch.record(CHANGED)
    assert (watch.pause_after(GONE) or 1) <= 0.05


def test_server_may_request_a_longer_pause() -> None:
    draining = Unavailable(grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING", retry_after=1.0)
    assert 1.0 < (resumption().pause_after(draining) or 0) <= 1.05


def test_gives_up_after_the_outage() -> None:
    clock = Clock()
    watch = resumption(clock, outage=30)
    watch.record(CHANGED)
    clock.now += 1_000
    assert watch.pause_after(GONE) is not None
    for _ in range(5):
        clock.now += 5
        watch.next_request()
        assert watch.pause_after(GONE) is not None
    clock.now += 5
    watch.next_request()
    with pytest.raises(Unavailable):
        watch.pause_after(GONE)


def test_outage_ends_with_an_event_or_a_connected_stream() -> None:
    clock = Clock()
    watch = resumption(clock, outage=30)
    for events in ([CHANGED], []):
        assert watch.pause_after(GONE) is not None
        watch.next_request()
        for each in events:
            watch.record(each)
        clock.now += 31
        assert watch.pause_after(GONE) is not None


def test_zero_outage_does_not_wait() -> None:
    with pytest.raises(Unavailable):
        resumption(outage=0).pause_after(GONE)


@pytest.mark.parametrize("reason", ["REVISION_COMPACTED", "REVISION_UNKNOWN"])
def test_resnapshot_replaces_a_compacted_log(reason: str) -> None:
    watch = resumption(all={}, after_revision=1, store_id="s", resnapshot=True)
    assert watch.pause_after(failing("OUT_OF_RANGE", reason, from_transport=False)) is not None
    assert watch.next_request() == StreamStatusRequest(all={})


def test_watch_without_revision_requests_another_snapshot() -> None:
    watch = resumption(run_id="r1")
    watch.record(SNAPSHOT)
    assert watch.pause_after(COMPACTED) is not None
    assert watch.next_request() == StreamStatusRequest(run_id="r1")
    watch.record(event("SNAPSHOT_END", 3))
    with pytest.raises(RunError):
        watch.pause_after(COMPACTED)


def test_watch_with_revision_raises_for_a_compacted_log() -> None:
    with pytest.raises(RunError):
        resumption(all={}, after_revision=1).pause_after(COMPACTED)


ACKNOWLEDGED = event("CHANGED", 7, "INTERRUPTED")
ACKNOWLEDGED.run.cancellation.acknowledged_at.seconds = 1


@pytest.mark.parametrize(
    ("target", "last", "is_over"),
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
def test_after_the_last_change_the_watch_does_not_wait(
    target: Any, last: Any, is_over: bool
) -> None:
    watch = resumption(**target)
    watch.record(last)
    # One more stream, in case the server stopped before it sent the end.
    assert watch.pause_after(GONE) is not None
    assert (watch.pause_after(GONE) is None) is is_over


def test_snapshot_of_a_terminal_run_is_the_end() -> None:
    watch = resumption(run_id="r1")
    watch.record(event("SNAPSHOT", status="SUCCESS"))
    watch.record(END)
    assert watch.pause_after(GONE) is not None
    assert watch.pause_after(GONE) is None


UNSET: dict[str, Any] = {
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


def test_request_of_a_watch() -> None:
    request = watch_request(**UNSET | {"run_id": "r1", "attach": True, "heartbeat_interval": 1.5})
    interval = timedelta(seconds=1.5)
    assert request == StreamStatusRequest(run_id="r1", attach=True, heartbeat_interval=interval)
    request = watch_request(**UNSET | {"all_runs": True, "assistant_id": "a", "after_revision": 0})
    assert request == StreamStatusRequest(all=AllRuns(assistant_id="a"), after_revision=0)
    assert watch_request(**UNSET | {"all_runs": True}).WhichOneof("target") == "all"
    request = watch_request(**UNSET | {"thread_id": "t", "until_acknowledged": True})
    assert request == StreamStatusRequest(thread_id="t", until_acknowledged=True)


@pytest.mark.parametrize(
    "target",
    [
        {"run_id": "r1", "thread_id": "t"},
        {"run_id": "r1", "all_runs": True},
        {"run_id": "r1", "assistant_id": "a"},
    ],
)
def test_watch_has_one_target_at_most(target: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"Name only one target|needs all_runs=True"):
        watch_request(**UNSET | target)
