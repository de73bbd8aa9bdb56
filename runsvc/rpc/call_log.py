"""The log line of each call at level debug."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING, Any

from runsvc.rpc.audit import peer_of
from runsvc.rpc.request_ids import KEY
from runsvc.rpc.subject import Subject

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

    subject = Subject(method)

    async def call(request: bytes, context: Any) -> Any:
        started = perf_counter()
        outcome, answer = "CANCELLED", None
        try:
            answer = await behavior(request, context)
            outcome = "OK"
        finally:
            seconds = perf_counter() - started
            sent = dict(context.trailing_metadata()).get(KEY)
            about = f"{_outcome(context, outcome)} {subject.of(request, answer)}".rstrip()
            request_id = sent or request_ids.of(context)
            _log(method, about, seconds, request_id, peer_of(context))
            del context
        return answer

    return call


def _outcome(context: Any, otherwise: str) -> str:
    code = context.code()
    return otherwise if code is None else str(code.name)


def _log(method: str, about: str, seconds: float, request_id: str, peer: str) -> None:
    logger.debug(
        "%s %s %.1f ms, request %s, peer %s", method, about, seconds * 1_000, request_id, peer
    )
