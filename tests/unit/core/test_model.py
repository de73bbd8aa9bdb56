"""The values of a run: frozen, comparable, cheap to copy."""

from __future__ import annotations

from copy import copy, deepcopy
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.core import model
from runsvc.core.model import (
    ACTIVE,
    DisconnectMode,
    MultitaskStrategy,
    Progress,
    Run,
    RunStatus,
    evolve,
)

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = [value for value in vars(model).values() if is_dataclass(value) and value is not None]


def a_run(**facts: Any) -> Run:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Run(
        run_id="r",
        owner="o",
        thread_id="t",
        status=RunStatus.PENDING,
        revision=1,
        created_at=now,
        updated_at=now,
        on_disconnect=DisconnectMode.CANCEL,
        multitask_strategy=MultitaskStrategy.REJECT,
        **facts,
    )


def test_a_status_is_active_or_queued_or_terminal() -> None:
    assert {RunStatus.PENDING, RunStatus.RUNNING} == ACTIVE
    terminal = {status for status in RunStatus if status.terminal}
    assert terminal == set(RunStatus) - ACTIVE - {RunStatus.QUEUED}


@pytest.mark.parametrize("kind", VALUES)
def test_values_are_frozen(kind: Any) -> None:
    value = object.__new__(kind)
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(kind)[0].name, None)
    assert not hasattr(value, "__dict__")


def test_the_repr_of_a_run_shows_neither_metadata_nor_kwargs() -> None:
    assert "secret" not in repr(a_run(metadata=b"secret"))
    assert "kwargs" not in {field.name for field in fields(Run)}


def test_an_unset_field_is_none() -> None:
    run = a_run()
    assert run.progress is None
    assert all(value is None for value in (run.error, run.worker_id, run.lease, run.ended_at))


def test_evolve_matches_dataclasses_replace() -> None:
    run = a_run(model_name="m", progress=Progress(total_tokens=3))
    changes: dict[str, Any] = {"revision": 2, "error": "none", "model_name": None}
    assert evolve(run, **changes) == replace(run, **changes)
    assert run == a_run(model_name="m", progress=Progress(total_tokens=3))
    assert evolve(run) == run
    assert run.progress is not None
    assert evolve(run.progress, final=True) == Progress(total_tokens=3, final=True)
    with pytest.raises(KeyError):
        evolve(run, colour="red")
    with pytest.raises(FrozenInstanceError):
        evolve(run).revision = 3  # type: ignore[misc]


@pytest.mark.parametrize("copied", [evolve, replace, copy, deepcopy])
def test_encoded_bytes_do_not_belong_to_a_run_or_its_copies(copied: Callable[[Run], Run]) -> None:
    run = a_run()
    object.__setattr__(run, "encoded", b"run")
    another = copied(run)
    assert another == run
    assert not hasattr(another, "encoded")
