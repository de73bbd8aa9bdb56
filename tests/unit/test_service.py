"""The assembly: the order of a stop."""

from __future__ import annotations

from unittest.mock import AsyncMock, Mock, call

from runsvc.service import drain


async def test_a_stop_changes_health_then_ends_watches_then_drains_calls() -> None:
    parts = Mock()
    parts.door.drain = AsyncMock()
    await drain(parts.door, parts.hub, parts.dispatch, 2.5)
    assert parts.mock_calls == [
        call.door.withdraw(),
        call.hub.drain(),
        call.dispatch.drain(),
        call.door.drain(2.5),
    ]
