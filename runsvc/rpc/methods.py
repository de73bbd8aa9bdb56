"""Handlers of methods: their kinds, and their (de)serialization inside the guard.

The transport sends the text of an exception from a (de)serializer to the client. So both run inside the guarded call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from google.protobuf.message import DecodeError

from runsvc.core.errors import InvalidRequest, Violation

# Handlers exist for every message type, and the stubs do not distinguish their kinds.
Handler = Any
Behavior = Callable[[Any, Any], Awaitable[Any]]


def parser(parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """The deserializer of a message class. It raises InvalidRequest for bytes that do not parse."""
    # `parse` is FromString, a class method of the message.
    name = cast("Any", parse).__self__.DESCRIPTOR.full_name

    def parsed(request: bytes) -> Any:
        try:
            return parse(request)
        except DecodeError as error:
            raise InvalidRequest((Violation("", f"does not parse as {name}"),)) from error

    return parsed


def serializer(serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """The serializer, which passes bytes through: a handler may have encoded its answer itself."""
    return lambda answer: answer if isinstance(answer, bytes) else serialize(answer)


def nothing(answer: object) -> None:
    """The answer of a stream, which has written its messages itself."""
