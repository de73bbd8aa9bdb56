"""Reads and waits of a bare cursor."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runsvc.watch.cursor import Cursor


async def read(cursor: Cursor) -> list[int]:
    """The revisions of the next changes."""
    return [change.revision for change in await cursor.read()]


async def wait(cursor: Cursor, seconds: float) -> None:
    await cursor.wait(asyncio.get_running_loop().time() + seconds)


async def is_woken(cursor: Cursor) -> bool:
    """Whether the cursor has been woken."""
    try:
        async with asyncio.timeout(0):
            await wait(cursor, 30)
    except TimeoutError:
        return False
    return True
