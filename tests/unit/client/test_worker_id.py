"""Worker ids that differ by default."""

from __future__ import annotations

import os
import re

import pytest

from runsvc.client import AsyncRunClient, RunClient, new_worker_id


def test_every_execution_has_a_worker_id_of_its_own() -> None:
    with RunClient("127.0.0.1:1", token=None) as client:
        first, second = (client.execute("r").worker_id for _ in range(2))
        assert first is not None
        assert f"-{os.getpid()}-" in first
        assert first != second
        assert client.execute("r", worker_id="").worker_id not in ("", first, second)
        assert client.execute("r", worker_id="w7").worker_id == "w7"
        assert client.execute("r", worker_id=None).worker_id is None


async def test_asynchronous_executions_too() -> None:
    async with AsyncRunClient("127.0.0.1:1", token=None) as client:
        assert client.execute("r").worker_id != client.execute("r").worker_id


@pytest.mark.parametrize("host", ["", "-._", "höst name", "h" * 300, "_x", "a.b-c"])
def test_worker_id_is_valid_on_every_host(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: host)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", new_worker_id())
