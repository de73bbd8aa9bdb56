"""Answers for people and programs. Text from runs is printed without escape sequences and markup."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import json_format
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runsvc.v1.run_pb2 import RunStatus, StatusReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp

    from runsvc.v1.run_pb2 import Run

_STYLES: Final = {
    "PENDING": "yellow",
    "RUNNING": "cyan",
    "SUCCESS": "green",
    "ERROR": "red",
    "TIMEOUT": "red",
    "INTERRUPTED": "magenta",
}

#: From here on, not every integer is a float.
_EXACT: Final = 2**53

#: Width of output that is not a terminal.
_PIPED_WIDTH: Final = 200


class _Console(Console):
    """A console that leaves the exit code to the program if the reader of the output has gone."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console() -> Console:
    """Return a console on the current standard output."""
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    return _Console(markup=False, emoji=False, highlight=False, width=width)


def is_live(output: Console) -> bool:
    """Return whether the output is a terminal that can be redrawn."""
    return output.is_interactive and sys.stdout.isatty()


def clean(text: str) -> str:
    """Return text on one line, with control characters replaced by spaces."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def as_json(message: Message) -> str:
    """Return a message as one line of JSON. 64-bit integers are strings, as in protobuf's JSON."""
    return json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=None,
    )


def word(kind: EnumTypeWrapper, number: int) -> str:
    """Return the name of an enum's value without its prefix. An unknown value is its number, an unset one is empty."""
    return _word(kind.DESCRIPTOR, number)


def status_of(run: Run) -> str:
    """Return a run's status, with the reason if it has one: RUNNING, or INTERRUPTED (SUPERSEDED)."""
    reason = word(StatusReason, run.status_reason)
    status = word(RunStatus, run.status)
    return f"{status} ({reason})" if reason else status


def styled(status: str) -> Text:
    """Return a status in its colour. Other text is not coloured."""
    return Text(status, style=_STYLES.get(status, ""))


def details(message: Message, *, zeros: bool = False) -> Table:
    """Return a table of the fields that are set, one per line. With `zeros`, of all fields."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, value in facts(message, zeros=zeros):
        table.add_row(name, styled(clean(value)))
    return table


def time_of(timestamp: Timestamp) -> str:
    """Return a time in UTC, with seconds."""
    return timestamp.ToDatetime().strftime("%Y-%m-%d %H:%M:%SZ")


def facts(message: Message, prefix: str = "", *, zeros: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the paths and values of the fields that are set. With `zeros`, of all fields."""
    every = ((field, getattr(message, field.name)) for field in message.DESCRIPTOR.fields)
    for field, value in every if zeros else message.ListFields():
        yield from _fact(field, value, prefix + field.name)


def _fact(field: Any, value: Any, name: str) -> Iterator[tuple[str, str]]:
    if field.enum_type is not None:
        yield name, _word(field.enum_type, value)
    elif field.message_type is None:
        yield name, str(value)
    elif field.message_type.GetOptions().map_entry:
        for key in sorted(value):
            yield from facts(value[key], f"{name}.{key}.")
    elif field.message_type.full_name == "google.protobuf.Struct":
        # Sorted: the fields of a Struct have no order.
        fields = _with_integers(json_format.MessageToDict(value))
        yield name, json.dumps(fields, ensure_ascii=False, sort_keys=True)
    elif field.message_type.file.package == "google.protobuf":
        yield name, value.ToJsonString()
    else:
        yield from facts(value, f"{name}.")


def _with_integers(value: Any) -> Any:
    """Return a JSON value with integral floats as integers. A Struct stores floats only."""
    if isinstance(value, dict):
        return {name: _with_integers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_integers(each) for each in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value


def _word(kind: Any, number: int) -> str:
    if not number:
        return ""
    value = kind.values_by_number.get(number)
    prefix = kind.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return str(value.name).removeprefix(prefix) if value else str(number)
