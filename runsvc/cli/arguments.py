"""Options and arguments that several commands share, and how words become messages."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from runsvc.cli.render import word
from runsvc.client import DEFAULT_TARGET
from runsvc.settings import LONGEST
from runsvc.v1.run_pb2 import Progress, RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

    Command: TypeAlias = Callable[..., None]

#: Key in a context's meta: whether answers and errors are JSON.
AS_JSON: Final = "runsvc.json"

#: Fields of a report's Progress; `final` is the server's to set.
_PROGRESS: Final = tuple(each for each in Progress.DESCRIPTOR.fields if each.name != "final")

_MAX_INT64: Final = 2**63 - 1


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """click.option whose help names its environment variable, and its default unless that is nothing."""
    if settings.get("default") == "":
        settings.setdefault("show_default", False)
    return click.option(*names, show_envvar=True, **settings)


class Seconds(click.FloatRange):
    """A time in seconds."""

    name = "number of seconds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{str(value)!r} is not a valid {self.name}.", param, ctx)
        return seconds


class Length(click.ParamType):  # type: ignore[type-arg]
    """A length of time, not zero and at most a century: a number with a unit, several of them, or seconds."""

    name = "length"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        if not (told := _LENGTH.fullmatch(str(value).strip().lower())):
            self.fail(f"{value!r} is no length of time such as 30s, 1h30m or 30d.", param, ctx)
        try:
            units = told.groupdict(default="0").items()
            length = timedelta(**{unit: float(number) for unit, number in units})
        except OverflowError:
            length = timedelta.max
        if length > LONGEST:
            self.fail(f"{value!r} is too long: at most {LONGEST.days}d.", param, ctx)
        if not length:
            self.fail(f"{value!r} is no time at all.", param, ctx)
        return length


#: A number without a unit is one of seconds.
_LENGTH: Final = re.compile(
    r"(?=.)(?:(?P<days>\d+(?:\.\d+)?)d)?(?:(?P<hours>\d+(?:\.\d+)?)h)?"
    r"(?:(?P<minutes>\d+(?:\.\d+)?)m)?(?:(?P<seconds>\d+(?:\.\d+)?)s?)?",
    re.ASCII,
)


class Count(click.IntRange):
    """A whole number."""

    name = "whole number"


# Generic since click 8.2 only, so that it cannot be given its type here.
class EnumChoice(click.ParamType):  # type: ignore[type-arg]
    """A value of an enum by its name without prefix, in any case."""

    name = "enum"

    def __init__(self, kind: EnumTypeWrapper, *, without: tuple[str, ...] = ()) -> None:
        numbers = (number for number in kind.values() if number)
        names = {word(kind, number).lower(): number for number in numbers}
        self._numbers = {name: number for name, number in names.items() if name not in without}

    def get_metavar(self, *_context: Any, **_more: Any) -> str:
        return "[" + "|".join(self._numbers) + "]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        number = self._numbers.get(str(value).lower())
        if number is None:
            self.fail(f"{value!r} is not one of {', '.join(self._numbers)}.", param, ctx)
        return number


class JsonObject(click.ParamType):  # type: ignore[type-arg]
    """A JSON object as a Struct."""

    name = "json"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Struct:
        try:
            parsed = json.loads(value, parse_constant=_refused)
        except (ValueError, RecursionError) as error:
            self.fail(f"not JSON: {error}", param, ctx)
        if not isinstance(parsed, dict):
            self.fail('not a JSON object, such as {"key": 1}', param, ctx)
        try:
            return json_format.ParseDict(parsed, Struct())
        except (json_format.ParseError, ValueError) as error:
            self.fail(f"not usable: {error}", param, ctx)


class Time(click.ParamType):  # type: ignore[type-arg]
    """A time as ISO 8601 writes it; UTC when it names no zone."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Timestamp:
        stamp = Timestamp()
        try:
            told = datetime.fromisoformat(value)
            stamp.FromDatetime(told if told.tzinfo else told.replace(tzinfo=UTC))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time such as 2026-11-24T09:30:00Z.", param, ctx)
        return stamp


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


STATUS: Final = EnumChoice(RunStatus)
TERMINAL: Final = EnumChoice(RunStatus, without=("pending", "running"))


def _remember(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:
    ctx.meta[AS_JSON] = value
    return value


target_option: Final = option(
    "--target",
    default=DEFAULT_TARGET,
    envvar="RUNSVC_TARGET",
    metavar="HOST:PORT",
    help="The server.",
)
timeout_option: Final = option(
    "--timeout",
    # The transport's clock ends somewhere; nobody waits for longer than a day.
    type=Seconds(min=0, max=86_400, min_open=True),
    default=10.0,
    envvar="RUNSVC_TIMEOUT",
    metavar="SECONDS",
    help="Longest wait for an answer.",
)
json_option: Final = option(
    "--json",
    "as_json",
    is_flag=True,
    is_eager=True,
    callback=_remember,
    envvar="RUNSVC_JSON",
    help="One JSON object per answer; errors as JSON on stderr.",
)
worker_option: Final = option(
    "--worker", metavar="ID", help="Who reports. Needed on a run that has a holder."
)
lease_option: Final = option(
    "--lease-ttl",
    type=Length(),
    metavar="LENGTH",
    help="With --worker: the run becomes ERROR when the worker gives no sign of life for this long.",
)


def require_worker(worker: str | None, lease_ttl: timedelta | None) -> None:
    """A lease is somebody's."""
    if lease_ttl is not None and worker is None:
        raise click.UsageError("--lease-ttl needs --worker.")


error_option: Final = option("--error", metavar="TEXT", help="What went wrong.")


def progress_options(command: Command) -> Command:
    """One option for each field of Progress that a report can set."""
    for each in reversed(_PROGRESS):
        text = each.cpp_type == each.CPPTYPE_STRING
        kind: Any = str if text else Count(min=0, max=_MAX_INT64)
        decorate = option(
            "--" + each.name.replace("_", "-"),
            type=kind,
            metavar="TEXT" if text else "N",
            help="Preview, cut at 2,000 characters." if text else "Counter so far.",
        )
        command = decorate(command)
    return command


def progress_of(fields: Mapping[str, Any]) -> Progress | None:
    """The report that the options make. None: none of them was given."""
    given = {name: value for name, value in fields.items() if value is not None}
    return Progress(**given) if given else None
