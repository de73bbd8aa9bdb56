"""Types of arguments, options that several commands share, and their conversion to messages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click
from google.protobuf.timestamp_pb2 import Timestamp

from runsvc.cli.json_object import ByModel, JsonObject
from runsvc.cli.lengths import Duration, Seconds
from runsvc.cli.render import word
from runsvc.client import DEFAULT_TARGET
from runsvc.v1.run_pb2 import Progress, RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

    Command: TypeAlias = Callable[..., None]

#: Key in a context's meta: whether answers and errors are printed as JSON.
AS_JSON: Final = "runsvc.json"

#: The fields of Progress with an option of their own. The server sets `final`.
_PROGRESS: Final = tuple(
    each for each in Progress.DESCRIPTOR.fields if each.name not in ("by_model", "final")
)

_MAX_INT64: Final = 2**63 - 1


class Option(click.Option):
    """An option whose errors name its environment variable only if the value came from there."""

    def get_error_hint(self, ctx: click.Context | None) -> str:
        hint = click.Parameter.get_error_hint(self, ctx)
        if ctx is None or ctx.get_parameter_source(self.name or "") is not _ENVIRONMENT:
            return hint
        return f"{hint} from the environment ({self.envvar or _variable(ctx, self)})"


_ENVIRONMENT: Final = click.core.ParameterSource.ENVIRONMENT


def _variable(context: click.Context, parameter: click.Parameter) -> str:
    return f"{context.auto_envvar_prefix}_{parameter.name}".upper()


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """Return click's option. Its help shows the environment variable, and the default unless it is empty."""
    if settings.get("default") == "":
        settings.setdefault("show_default", False)
    return click.option(*names, cls=Option, show_envvar=True, **settings)


class Count(click.IntRange):
    """An integer."""

    name = "whole number"


# ParamType is generic only since click 8.2, so no type argument is given.
class EnumChoice(click.ParamType):  # type: ignore[type-arg]
    """A value of an enum, by its name without prefix. Case does not matter."""

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


class Time(click.ParamType):  # type: ignore[type-arg]
    """A time in ISO 8601 with a time zone."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Timestamp:
        stamp = Timestamp()
        try:
            time = datetime.fromisoformat(value)
            # Check the range. FromDatetime takes a time without a zone as UTC.
            stamp.FromDatetime(time)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time. Write it as 2026-11-24T09:30:00Z.", param, ctx)
        if time.tzinfo is None:
            example = time.isoformat()
            self.fail(
                f"{value!r} has no time zone. Write it as {example}Z for UTC, or as {example}+01:00.",
                param,
                ctx,
            )
        return stamp


_QUEUED: Final = ("queued",)
_ACTIVE: Final = ("pending", "running")
_ENDED: Final = ("success", "error", "timeout", "interrupted")
STATUS: Final = EnumChoice(RunStatus)
ACTIVE: Final = EnumChoice(RunStatus, without=_QUEUED + _ENDED)
TERMINAL: Final = EnumChoice(RunStatus, without=_QUEUED + _ACTIVE)


def _store_json_flag(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:
    ctx.meta[AS_JSON] = value
    return value


target_option: Final = option(
    "--target",
    default=DEFAULT_TARGET,
    envvar="RUNSVC_TARGET",
    metavar="HOST:PORT",
    help="Address of the server.",
)
timeout_option: Final = option(
    "--timeout",
    # grpc limits deadlines. One day is enough.
    type=Seconds(longest=timedelta(days=1)),
    default="10s",
    envvar="RUNSVC_TIMEOUT",
    metavar="DURATION",
    help="Deadline of the call, retries included.",
)
json_option: Final = option(
    "--json",
    "as_json",
    is_flag=True,
    is_eager=True,
    callback=_store_json_flag,
    envvar="RUNSVC_JSON",
    help="Print each answer as one JSON object, and errors as JSON on stderr.",
)
worker_option: Final = option(
    "--worker", metavar="ID", help="Id of the reporting worker. Required if the run has a holder."
)
lease_option: Final = option(
    "--lease-ttl",
    type=Duration(),
    metavar="DURATION",
    help="With --worker: end the run as ERROR if no report or heartbeat arrives for this long.",
)


def require_worker(worker: str | None, lease_ttl: timedelta | None) -> None:
    """Raise a usage error for a lease without a worker, who would hold it."""
    if lease_ttl is not None and worker is None:
        raise click.UsageError("--lease-ttl needs --worker.")


error_option: Final = option(
    "--error", metavar="TEXT", help="Error text. More than 16 KiB are cut."
)
result_option: Final = option(
    "--result",
    type=JsonObject(),
    metavar="JSON",
    help="With success: JSON object that the run produced. @FILE reads it from a file, - from standard input.",
)
stop_reason_option: Final = option(
    "--stop-reason", metavar="WORD", help="Why the run stopped, such as token_capped."
)


def progress_options(command: Command) -> Command:
    """Add one option for each field of Progress that a report may set."""
    command = option(
        "--by-model",
        type=ByModel(),
        metavar="JSON",
        help='Usage by model, such as {"gpt": {"input_tokens": 5, "calls": 1}}. @FILE and - too.',
    )(command)
    for each in reversed(_PROGRESS):
        text = each.cpp_type == each.CPPTYPE_STRING
        kind: Any = str if text else Count(min=0, max=_MAX_INT64)
        decorate = option(
            "--" + each.name.replace("_", "-"),
            type=kind,
            metavar="TEXT" if text else "N",
            help="Preview, cut to 2,000 characters." if text else "Total so far.",
        )
        command = decorate(command)
    return command


def progress_from(fields: Mapping[str, Any]) -> Progress | None:
    """Return the progress that the options give. None if none was given."""
    given = {name: value for name, value in fields.items() if value is not None}
    if not given:
        return None
    by_model = given.pop("by_model", None)
    progress = Progress(**given)
    if by_model is not None:
        progress.MergeFrom(by_model)
    return progress
