"""A server that a scenario writes answer by answer: a newer one, one that fails, one that keeps silent."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any, Final

from grpc import StatusCode

from tests.support.scripted import Refusal, Script

if TYPE_CHECKING:
    from collections.abc import Iterator

#: An answer that does not come.
SILENCE: Final = object()


class Programme(Script):
    """A script in which each watch plays one list, and in which a server may keep silent."""

    def unary(self, method: str, request: Any, context: Any) -> Any:
        if self.answers[method][:1] == [SILENCE]:
            self.answers[method].pop(0)
            self._note(request, context)
            _until_left(context)
            # Not with the next answer, which is another call's.
            context.abort(StatusCode.CANCELLED, "The client has given up")
        return super().unary(method, request, context)

    def stream(self, method: str, request: Any, context: Any) -> Iterator[Any]:
        self._note(request, context)
        for answer in self.answers[method].pop(0):
            if answer is SILENCE:
                _until_left(context)
            elif isinstance(answer, Refusal):
                answer.abort(context)
            else:
                yield answer


def _until_left(context: Any) -> None:
    """Wait until the client has given up."""
    left = Event()
    if context.add_callback(left.set):
        left.wait()
