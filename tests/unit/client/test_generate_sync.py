"""The generated part of the synchronous client."""

from __future__ import annotations

import inspect

import pytest

from clients.python import generate_sync
from runsvc.client import AsyncRunClient, RunClient


def test_generated_modules_are_up_to_date() -> None:
    assert generate_sync.main(check=True) == 0


def test_stale_module_is_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate_sync, "translated", lambda name: "")
    assert generate_sync.main(check=True) == 1
    assert "stale:      runsvc/client/sync/runs.py" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["async ", "await ", "asyncio", "Async"])
def test_generated_modules_mention_no_asyncio(word: str) -> None:
    for name in generate_sync.MODULES:
        lines = generate_sync.translated(name).splitlines()[1:]
        assert not [line for line in lines if word in line]


def test_both_clients_have_the_same_methods() -> None:
    def signatures(client: type) -> dict[str, list[str]]:
        members = inspect.getmembers(client, inspect.isfunction)
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in members
            if not name.startswith("_")
        }

    assert signatures(RunClient) == signatures(AsyncRunClient)
