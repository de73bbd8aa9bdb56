"""Answers for people and for programs. Text from runs is shown, never obeyed: no escapes, no markup."""

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

#: From here on not every whole number is a floating-point one.
_EXACT: Final = 2**53

#: Columns where there is no terminal to say how many.
_PIPED_WIDTH: Final = 200


def console() -> Console:
    """Standard output as it is now."""
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    return Console(markup=False, emoji=False, highlight=False, width=width)


def is_live(output: Console) -> bool:
    """Whether what was printed can be redrawn."""
    return output.is_interactive and sys.stdout.isatty()


def clean(text: str) -> str:
    """Text on one line, without anything that a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def as_json(message: Message) -> str:
    """A message as one line; 64-bit numbers are strings, as protobuf has it."""
    return json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=None,
    )


def word(kind: EnumTypeWrapper, number: int) -> str:
    """Name of an enum's value without its prefix; the number when a newer server sent it. Unset is empty."""
    return _word(kind.DESCRIPTOR, number)


def status_of(run: Run) -> str:
    """RUNNING, or with a reason INTERRUPTED (SUPERSEDED)."""
    reason = word(StatusReason, run.status_reason)
    status = word(RunStatus, run.status)
    return f"{status} ({reason})" if reason else status


def styled(status: str) -> Text:
    """A status in its colour; other words as they are."""
    return Text(status, style=_STYLES.get(status, ""))


def details(message: Message, *, zeros: bool = False) -> Table:
    """Every field that is set, one per line; with zeros also the others."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, value in facts(message, zeros=zeros):
        table.add_row(name, styled(clean(value)))
    return table


def time_of(timestamp: Timestamp) -> str:
    """UTC, to the second."""
    return timestamp.ToDatetime().strftime("%Y-%m-%d %H:%M:%SZ")


def facts(message: Message, prefix: str = "", *, zeros: bool = False) -> Iterator[tuple[str, str]]:
    """The fields that are set, nested ones by their path; with zeros every field."""
    every = ((field, getattr(message, field.name)) for field in message.DESCRIPTOR.fields)
    for field, value in every if zeros else message.ListFields():
        yield from _fact(field, value, prefix + field.name)


def _fact(field: Any, value: Any, name: str) -> Iterator[tuple[str, str]]:
    if field.enum_type is not None:
        yield name, _word(field.enum_type, value)
    elif field.message_type is None:
        yield name, str(value)
    elif field.message_type.full_name == "google.protobuf.Struct":
        # Sorted: a Struct is in no order of its own.
        told = _whole(json_format.MessageToDict(value))
        yield name, json.dumps(told, ensure_ascii=False, sort_keys=True)
    elif field.message_type.file.package == "google.protobuf":
        yield name, value.ToJsonString()
    else:
        yield from facts(value, f"{name}.")


def _whole(value: Any) -> Any:
    """JSON with whole numbers as people write them: a Struct knows floating-point ones only."""
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value


def _word(kind: Any, number: int) -> str:
    if not number:
        return ""
    value = kind.values_by_number.get(number)
    prefix = kind.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return str(value.name).removeprefix(prefix) if value else str(number)
