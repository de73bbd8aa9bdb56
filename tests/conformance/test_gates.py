"""Gates: after every batch, no run waits although its gates are open, and no width is exceeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.gate_world import GateWorld

if TYPE_CHECKING:
    from runsvc.store.base import Store


async def play(store: Store, seed: int, steps: int) -> GateWorld:
    world = GateWorld(store, seed)
    try:
        for _ in range(steps):
            await world.step()
    finally:
        await world.close()
    return world


@pytest.mark.parametrize("seed", range(2))
async def test_no_run_waits_at_an_open_gate(store: Store, seed: int) -> None:
    world = await play(store, seed, 80)
    assert world.seen["queued"] > 50


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(40))
async def test_no_run_waits_at_an_open_gate_for_long(store: Store, seed: int) -> None:
    await play(store, 100 + seed, 1_500)
