"""The log line of each call at level debug."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING, Any

from runsvc.rpc.request_ids import KEY

if TYPE_CHECKING:
    from runsvc.rpc.methods import Behavior
    from runsvc.rpc.request_ids import RequestIds

logger = logging.getLogger(__name__)


def logged(method: str, behavior: Behavior, request_ids: RequestIds) -> Behavior:
    """The behavior with a log line for each call.

    The level is read once, when the server starts: without debug, a call costs nothing more.
    """
    if not logger.isEnabledFor(logging.DEBUG):
        return behavior

    async def call(request: bytes, context: Any) -> Any:
        started = perf_counter()
        outcome = "CANCELLED"
        try:
            answer = await behavior(request, context)
            outcome = "OK"
        finally:
            seconds = perf_counter() - started
            sent = dict(context.trailing_metadata()).get(KEY)
            _log(method, context, outcome, seconds, sent or request_ids.of(context))
            del context
        return answer

    return call


def _log(method: str, context: Any, outcome: str, seconds: float, request_id: str) -> None:
    code = context.code()
    logger.debug(
        "%s %s %.1f ms, request %s",
        method,
        outcome if code is None else code.name,
        seconds * 1_000,
        request_id,
    )
