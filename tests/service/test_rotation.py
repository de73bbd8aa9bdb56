"""Rotation of every secret: watches stay open, and no call fails that has a right to pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.rotation import rotate_under_load

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_rotation_disturbs_nobody(tmp_path: Path) -> None:
    rotation = await rotate_under_load(tmp_path, streams=12, rounds=1)
    assert rotation.failures == []
    assert rotation.reconnects == []
    assert rotation.calls > 20


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_many_rotations_disturb_none_of_many_watches(tmp_path: Path) -> None:
    rotation = await rotate_under_load(tmp_path, streams=100, rounds=10)
    assert rotation.failures == []
    assert rotation.reconnects == []
    assert rotation.calls > 500
