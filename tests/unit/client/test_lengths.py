"""Lengths of time from callers: too long never becomes none left, and none is dropped."""

from __future__ import annotations

import math
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from runsvc.client import AsyncRunClient, RunError, Unavailable
from runsvc.client.lengths import patience
from runsvc.client.retry import Backoff
from runsvc.client.settings import Settings
from runsvc.v1 import admin_service_pb2 as admin
from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_pb2 import Run, RunStatus
from tests.support.both_clients import make_client
from tests.support.scripted import Refusal

if TYPE_CHECKING:
    from tests.support.scripted import Script

LONG = [math.inf, 10**400, sys.float_info.max, float(sys.maxsize), 9e9, 1e10]
ANSWER = pb.GetResponse(run=Run(run_id="r"))


@pytest.mark.parametrize("timeout", LONG)
async def test_a_long_timeout_leaves_time(client: Any, script: Script, timeout: float) -> None:
    script.will("Get", ANSWER)
    assert (await client.get("r", timeout=timeout)).run_id == "r"
    # Without a deadline the server sees none, or one that is centuries away.
    assert script.time_left[0] is None or script.time_left[0] > 86_400


@pytest.mark.parametrize("timeout", LONG)
async def test_a_long_default_timeout_leaves_time(
    kind: Any, target: str, script: Script, timeout: float
) -> None:
    script.will("Get", ANSWER)
    async with make_client(kind, target, timeout=timeout) as client:
        assert (await client.get("r")).run_id == "r"


async def test_a_long_timeout_in_the_environment_leaves_time(
    kind: Any, target: str, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSVC_TIMEOUT", "1e10")
    script.will("Get", ANSWER)
    async with make_client(kind, target) as client:
        assert (await client.get("r")).run_id == "r"


async def test_an_elapsed_timeout_is_a_deadline_and_nan_is_refused(
    client: Any, script: Script
) -> None:
    for timeout in (0, -1, -math.inf, -(10**400)):
        with pytest.raises(RunError) as failure:
            await client.get("r", timeout=timeout)
        assert failure.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    with pytest.raises(ValueError, match="timeout is nan"):
        await client.get("r", timeout=math.nan)
    assert script.asked == []


@pytest.mark.parametrize("timeout", [0, -1, math.nan, -math.inf])
def test_default_timeout_is_greater_than_zero(timeout: float) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        Settings.of(None, None, None, timeout)


UNSENDABLE = [math.nan, math.inf, -math.inf, sys.float_info.max, 1e12]


@pytest.mark.parametrize("seconds", UNSENDABLE)
async def test_length_that_cannot_be_sent_is_refused(client: Any, seconds: float) -> None:
    with pytest.raises(ValueError, match="lease_ttl is"):
        await client.set_status("r", RunStatus.RUN_STATUS_RUNNING, worker_id="w", lease_ttl=seconds)
    with pytest.raises(ValueError, match="heartbeat_interval is"):
        client.watch("r", heartbeat_interval=seconds)


def test_patience_of_any_length_can_be_counted() -> None:
    assert [patience(seconds) for seconds in (0, 2.5, 10**400)] == [0, 2.5, math.inf]


@pytest.mark.parametrize("seconds", UNSENDABLE)
async def test_lease_that_cannot_be_sent_is_refused_before_the_start(
    target: str, seconds: float
) -> None:
    async with AsyncRunClient(target) as client:
        with pytest.raises(ValueError, match="lease_ttl is"):
            client.execute("r", worker_id="w", lease_ttl=seconds)


@pytest.mark.parametrize("seconds", [math.nan, -1, -math.inf])
async def test_outage_is_not_negative(target: str, seconds: float) -> None:
    async with AsyncRunClient(target) as client:
        with pytest.raises(ValueError, match="outage is"):
            client.watch("r", outage=seconds)
        with pytest.raises(ValueError, match="outage is"):
            client.execute("r", worker_id="w", outage=seconds)


@pytest.mark.parametrize("seconds", [math.inf, sys.float_info.max])
async def test_outage_may_be_for_ever(client: Any, script: Script, seconds: float) -> None:
    last = pb.StreamStatusResponse(run=Run(run_id="r", status="RUN_STATUS_SUCCESS", revision=1))
    script.will("StreamStatus", [Refusal(grpc.StatusCode.UNAVAILABLE)], [last])
    assert [each async for each in client.watch("r", outage=seconds)] == [last]


@pytest.mark.parametrize(("asked", "most"), [(-5.0, 0.05), (3e11, 86_401.0)])
def test_pause_that_a_server_asks_for_is_limited(asked: float, most: float) -> None:
    error = Unavailable(grpc.StatusCode.UNAVAILABLE, retry_after=asked)
    assert 0 < Backoff().pause_after(error) <= most


async def test_time_without_a_zone_is_refused(client: Any, script: Script) -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        await client.reconcile_orphans(before=datetime(2026, 1, 1))  # noqa: DTZ001
    script.will("ReconcileOrphans", admin.ReconcileOrphansResponse())
    zone = timezone(timedelta(hours=1))
    await client.reconcile_orphans(before=datetime(1970, 1, 1, 1, 1, tzinfo=zone))
    assert script.asked == [admin.ReconcileOrphansRequest(before=Timestamp(seconds=60))]
