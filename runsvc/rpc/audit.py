"""Log lines about calls that end or remove runs: who made the call, and when. They hold no metadata and no kwargs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from runsvc.core.errors import OutcomeUnknown
from runsvc.rpc.request_ids import KEY, RequestIds

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from runsvc.auth.caller import Caller

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Audit:
    """Writes the lines. Lives on the event loop."""

    def __init__(self) -> None:
        self._request_ids = RequestIds()

    async def attempt(self, context: Any, caller: Caller, subject: str, call: Awaitable[T]) -> T:
        """Await a call. Write a line if it raises although it may have taken effect."""
        try:
            return await call
        except (asyncio.CancelledError, OutcomeUnknown):
            request_id = self._request_ids.of(context)
            _write(
                f"{subject}: the caller got no answer, it may have taken effect",
                request_id,
                context,
                caller,
            )
            raise

    def record(self, context: Any, caller: Caller, *lines: str) -> None:
        """Write lines about one call, which has succeeded. The caller gets the request id as well."""
        if not lines:
            return
        request_id = self._request_ids.of(context)
        context.set_trailing_metadata(((KEY, request_id),))
        for line in lines:
            _write(line, request_id, context, caller)


def peer_of(context: Any) -> str:
    """The address of a caller, such as ipv4:127.0.0.1:40312."""
    return unquote(context.peer())


def _write(line: str, request_id: str, context: Any, caller: Caller) -> None:
    if logger.isEnabledFor(logging.INFO):
        # Not logger.info, which searches the stack for a line number that the log does not show: half of its cost.
        principal = f", principal {caller.name}" if caller.name else ""
        values = line, principal, request_id, peer_of(context)
        form = "%s%s, request %s, peer %s"
        logger.handle(logging.LogRecord(__name__, logging.INFO, "", 0, form, values, None))
