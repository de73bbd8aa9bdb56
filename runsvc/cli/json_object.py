"""JSON objects as arguments: on the command line, in a file or on standard input."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from runsvc.cli.render import clean
from runsvc.v1.run_pb2 import Progress

_M = TypeVar("_M", bound=Message)

#: The server stores numbers as doubles. A larger integer would lose digits.
_EXACT: Final = 2**53


# ParamType is generic only since click 8.2, so no type argument is given.
class JsonObject(click.ParamType):  # type: ignore[type-arg]
    """A JSON object, converted to a Struct. `@FILE` reads it from a file, `-` from standard input."""

    name = "json"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Struct:
        if value == "-":
            self._take_standard_input(param, ctx)
        try:
            text = _text_of(str(value))
        except OSError as error:
            self.fail(
                f"Cannot read {error.filename or 'standard input'}: {error.strerror}.", param, ctx
            )
        except UnicodeDecodeError:
            self.fail(f"{value} is not valid UTF-8.", param, ctx)
        parsed = self.parsed(text, param, ctx)
        if not isinstance(parsed, dict):
            self.fail('The text is not a JSON object, such as {"key": 1}.', param, ctx)
        return self.message(parsed, Struct(), param, ctx)

    def _take_standard_input(
        self, param: click.Parameter | None, ctx: click.Context | None
    ) -> None:
        taken = {} if ctx is None else ctx.meta.setdefault(__name__, {})
        if (other := taken.setdefault("-", param)) is not param:
            name = "another option" if other is None else other.opts[0]
            self.fail(
                f"{name} reads standard input already. Use @FILE for one of them.", param, ctx
            )

    def parsed(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value of a JSON text."""
        try:
            return json.loads(
                text,
                parse_constant=_reject_constant,
                parse_int=_integer,
                parse_float=_float,
                object_pairs_hook=_object,
            )
        except _ChangedError as error:
            self.fail(str(error), param, ctx)
        except (ValueError, RecursionError) as error:
            self.fail(f"The text is not valid JSON: {error}.", param, ctx)

    def message(
        self, parsed: Any, made: _M, param: click.Parameter | None, ctx: click.Context | None
    ) -> _M:
        """Return the message `made` with the fields of a JSON object."""
        try:
            return json_format.ParseDict(parsed, made)
        except (json_format.ParseError, ValueError) as error:
            self.fail(f"The object cannot be sent: {error}.", param, ctx)


class ByModel(JsonObject):
    """The usage of each model as a JSON object, converted to a Progress."""

    def convert(  # type: ignore[override]
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Progress:
        by_model = json_format.MessageToDict(super().convert(value, param, ctx))
        return self.message({"by_model": by_model}, Progress(), param, ctx)


class KeyAndValue(JsonObject):
    """A key and its JSON value, as KEY=JSON."""

    name = "key=json"

    def convert(  # type: ignore[override]
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        if isinstance(value, tuple):
            return value
        key, separator, text = str(value).partition("=")
        if not separator:
            self.fail(f"{value!r} is not KEY=JSON, such as priority=2.", param, ctx)
        try:
            return key, super().parsed(text, param, ctx)
        except click.BadParameter as error:
            hint = f"""A text is written as '{clean(key)}="text"', with both kinds of quotes."""
            raise click.BadParameter(f"{error.message} {hint}", ctx, param) from error


class _ChangedError(ValueError):
    """A value that would change on its way."""


def _text_of(value: str) -> str:
    if value == "-":
        return sys.stdin.buffer.read().decode("utf-8-sig")
    if value.startswith("@"):
        return Path(value[1:]).read_bytes().decode("utf-8-sig")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in made if keys.count(key) > 1)
        raise _ChangedError(f"The key {_shortened(clean(twice))!r} is given twice. Keep one.")
    return made


def _integer(text: str) -> int:
    number = int(text)
    if abs(number) > _EXACT:
        raise _ChangedError(
            f'The integer {_shortened(text)} would lose digits. Write it as text: "{_shortened(text)}".'
        )
    return number


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _ChangedError(f"The number {_shortened(text)} is too large.")
    return number


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")
