"""Validation of watches: targets, options and their limits."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from runsvc.core.errors import InvalidRequest
from runsvc.store.values import Topic, TopicKind
from runsvc.v1.run_pb2 import AllRuns
from runsvc.v1.run_service_pb2 import StreamStatusRequest
from runsvc.watch.stream import WatchRequest
from runsvc.wire.validation import MAX_INTEGER
from runsvc.wire.watch_request import watch_request
from tests.support.faults import fields_of


def test_a_watch_has_its_defaults() -> None:
    watch = watch_request(StreamStatusRequest(run_id="r"), "ann", "ann")
    assert watch == WatchRequest(topic=Topic(TopicKind.RUN, "ann", "r"))


@pytest.mark.parametrize(
    ("target", "topic"),
    [
        ({"run_id": "r"}, Topic(TopicKind.RUN, "ann", "r")),
        ({"thread_id": "t"}, Topic(TopicKind.THREAD, "ann", "t")),
        ({"all": AllRuns()}, Topic(TopicKind.ALL, "ann")),
        ({"all": AllRuns(assistant_id="a")}, Topic(TopicKind.ASSISTANT, "ann", "a")),
    ],
)
def test_each_target_becomes_its_topic(target: dict[str, Any], topic: Topic) -> None:
    assert watch_request(StreamStatusRequest(**target), "ann", "ann").topic == topic


def test_a_watch_of_every_owner_has_one_owner_for_its_thread() -> None:
    targets: tuple[dict[str, Any], ...] = ({"run_id": "r"}, {"thread_id": "t"}, {"all": AllRuns()})
    topics = [watch_request(StreamStatusRequest(**each), None, "ann").topic for each in targets]
    assert [topic.scope for topic in topics] == [None, "ann", None]


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (StreamStatusRequest(attach=True), ["target"]),
        (StreamStatusRequest(run_id=""), ["run_id"]),
        (StreamStatusRequest(thread_id="é"), ["thread_id"]),
        (StreamStatusRequest(all=AllRuns(assistant_id="")), ["all.assistant_id"]),
        (StreamStatusRequest(thread_id="t", attach=True), ["attach"]),
        (StreamStatusRequest(all=AllRuns(), until_acknowledged=True), ["until_acknowledged"]),
        (StreamStatusRequest(run_id="r", heartbeat_interval=Duration()), ["heartbeat_interval"]),
    ],
)
def test_an_invalid_watch_is_refused(request_: StreamStatusRequest, fields: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        watch_request(request_, "ann", "ann")
    assert fields_of(caught.value) == fields


@pytest.mark.parametrize(
    ("after", "revision"),
    [(0, 0), (5, 5), (MAX_INTEGER + 1, MAX_INTEGER), (2**64 - 1, MAX_INTEGER)],
)
def test_a_future_revision_stays_unknown(after: int, revision: int) -> None:
    watch = watch_request(StreamStatusRequest(run_id="r", after_revision=after), "", "")
    assert watch.after_revision == revision


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [
        (Duration(nanos=1_000), 1.0),
        (Duration(seconds=20, nanos=500_000_000), 20.5),
        (Duration(seconds=301), 300.0),
        (Duration(seconds=2**62), 300.0),
    ],
)
def test_a_heartbeat_interval_is_clamped(interval: Duration, seconds: float) -> None:
    watch = watch_request(StreamStatusRequest(run_id="r", heartbeat_interval=interval), "", "")
    assert watch.heartbeat_interval == seconds


@given(st.binary(max_size=100))
def test_no_bytes_crash_a_watch(encoded: bytes) -> None:
    with suppress(DecodeError, InvalidRequest):
        watch_request(StreamStatusRequest.FromString(encoded), "", "")
