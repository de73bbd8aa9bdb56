"""Waiting for a condition."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: Longest wait, in seconds, for an event that a free machine brings about in a moment. No rule depends on it: it ends a
#: test that would wait for ever, so a busy machine with a slow disk must not reach it.
PATIENCE: Final = 90.0


async def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Wait until the condition, a function or a coroutine function, returns a true value."""
    async with asyncio.timeout(seconds):
        while True:
            holds = condition()
            if await holds if inspect.isawaitable(holds) else holds:
                return
            await asyncio.sleep(0.01)
