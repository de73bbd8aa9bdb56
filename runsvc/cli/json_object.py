"""JSON objects as arguments: on the command line, in a file or on standard input."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

import click
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

#: The server stores numbers as doubles. A larger integer would lose digits.
_EXACT: Final = 2**53


# ParamType is generic only since click 8.2, so no type argument is given.
class JsonObject(click.ParamType):  # type: ignore[type-arg]
    """A JSON object, converted to a Struct. `@FILE` reads it from a file, `-` from standard input."""

    name = "json"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Struct:
        try:
            text = _text_of(str(value))
        except OSError as error:
            self.fail(
                f"Cannot read {error.filename or 'standard input'}: {error.strerror}.", param, ctx
            )
        except UnicodeDecodeError:
            self.fail(f"{value} is not valid UTF-8.", param, ctx)
        try:
            parsed = json.loads(
                text, parse_constant=_reject_constant, parse_int=_integer, parse_float=_float
            )
        except _InexactError as error:
            self.fail(str(error), param, ctx)
        except (ValueError, RecursionError) as error:
            self.fail(f"The text is not valid JSON: {error}.", param, ctx)
        if not isinstance(parsed, dict):
            self.fail('The text is not a JSON object, such as {"key": 1}.', param, ctx)
        try:
            return json_format.ParseDict(parsed, Struct())
        except (json_format.ParseError, ValueError) as error:
            self.fail(f"The object cannot be sent: {error}.", param, ctx)


class _InexactError(ValueError):
    """A number that would change on its way."""


def _text_of(value: str) -> str:
    if value == "-":
        return sys.stdin.buffer.read().decode("utf-8-sig")
    if value.startswith("@"):
        return Path(value[1:]).read_bytes().decode("utf-8-sig")
    return value


def _integer(text: str) -> int:
    number = int(text)
    if abs(number) > _EXACT:
        raise _InexactError(
            f'The integer {_shortened(text)} would lose digits. Write it as text: "{_shortened(text)}".'
        )
    return number


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _InexactError(f"The number {_shortened(text)} is too large.")
    return number


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")
