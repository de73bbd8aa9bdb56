"""The subject of a call, for its log line: the run or the thread that its messages name."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import DecodeError

_LONGEST: Final = 128


class Subject:
    """Finds the subject in the bytes of a method's request and answer. It parses them once more: for debugging only."""

    def __init__(self, method: str) -> None:
        pool: Any = descriptor_pool.Default()
        try:
            found = pool.FindMethodByName(method.strip("/").replace("/", "."))
        except KeyError:
            self._classes: tuple[Any, ...] = ()
        else:
            types = (found.input_type, found.output_type)
            self._classes = tuple(map(message_factory.GetMessageClass, types))

    def of(self, request: bytes, answer: object) -> str:
        """The subject, such as "run R" or "thread T"; empty if there is none."""
        messages = [
            _parsed(message_class, each)
            for message_class, each in zip(self._classes, (request, answer), strict=False)
            if isinstance(each, bytes)
        ]
        for kind in ("run_id", "thread_id"):
            for message in messages:
                if value := _find(message, kind):
                    return f"{kind.removesuffix('_id')} {value}"
        return ""


def _parsed(message_class: Any, data: bytes) -> Any:
    try:
        return message_class.FromString(data)
    except DecodeError:
        return message_class()


def _find(message: Any, name: str) -> str:
    """Return a field of a message, or of the run or spec in it."""
    for holder in (message, getattr(message, "run", None), getattr(message, "spec", None)):
        if value := getattr(holder, name, ""):
            # Nothing has checked it.
            cut = value[:_LONGEST]
            return cut if cut.isprintable() else repr(cut)
    return ""
