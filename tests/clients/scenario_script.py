"""A scripted server for scenarios: a newer server, one that fails, or one that does not answer."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any, Final

from grpc import StatusCode

from tests.support.scripted import Refusal, Script

if TYPE_CHECKING:
    from collections.abc import Iterator

#: In place of an answer: none is sent until the client cancels.
NO_ANSWER: Final = object()


class ScenarioScript(Script):
    """A script with one list of events per watch, in which NO_ANSWER stands for a missing answer."""

    def unary(self, method: str, request: Any, context: Any) -> Any:
        if self.answers[method][:1] == [NO_ANSWER]:
            self.answers[method].pop(0)
            self._note(request, context)
            _wait_for_cancel(context)
            # Abort, since the next answer belongs to another call.
            context.abort(StatusCode.CANCELLED, "The client has cancelled the call")
        return super().unary(method, request, context)

    def stream(self, method: str, request: Any, context: Any) -> Iterator[Any]:
        self._note(request, context)
        for answer in self.answers[method].pop(0):
            if answer is NO_ANSWER:
                _wait_for_cancel(context)
            elif isinstance(answer, Refusal):
                answer.abort(context)
            else:
                yield answer


def _wait_for_cancel(context: Any) -> None:
    """Wait until the client has cancelled the call."""
    cancelled = Event()
    if context.add_callback(cancelled.set):
        cancelled.wait()
