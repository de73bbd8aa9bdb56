"""Lengths of time as arguments. Every option takes the same form."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Any, Final

import click

from runsvc.settings import LONGEST

#: A number without a unit is in seconds.
_DURATION: Final = re.compile(
    r"(?=.)(?:(?P<days>\d+(?:\.\d+)?)d)?(?:(?P<hours>\d+(?:\.\d+)?)h)?"
    r"(?:(?P<minutes>\d+(?:\.\d+)?)m)?(?:(?P<seconds>\d+(?:\.\d+)?)s?)?",
    re.ASCII,
)
_DIGITS: Final = frozenset("0123456789")


# ParamType is generic only since click 8.2, so no type argument is given.
class Duration(click.ParamType):  # type: ignore[type-arg]
    """A duration: numbers with the units d, h, m and s, or seconds. A century is the maximum.

    With `needs_unit` a number without a unit is refused: it is for options that remove data.
    """

    name = "duration"

    def __init__(
        self, *, needs_unit: bool = False, zero: bool = False, longest: timedelta = LONGEST
    ) -> None:
        self._needs_unit = needs_unit
        self._zero = zero
        self._longest = longest

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        duration = value if isinstance(value, timedelta) else self._parsed(str(value), param, ctx)
        if duration > self._longest:
            longest = _words(self._longest)
            self.fail(f"{value!r} is too long. The maximum is {longest}.", param, ctx)
        if not duration and not self._zero:
            self.fail(f"{value!r} is zero. Give a longer duration.", param, ctx)
        return duration

    def _parsed(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        text = value.strip().lower()
        if self._needs_unit and _DURATION.fullmatch(f"{text}s") and text[-1] in _DIGITS:
            self.fail(f"{value!r} has no unit. Write it as {text}s or {text}d.", param, ctx)
        parts = _DURATION.fullmatch(text)
        if parts is None:
            examples = "90s, 1h30m or 30d" if self._needs_unit else "90, 90s, 1h30m or 30d"
            self.fail(f"{value!r} is not a duration. Write it as {examples}.", param, ctx)
        try:
            units = parts.groupdict(default="0").items()
            return timedelta(**{unit: float(number) for unit, number in units})
        except OverflowError:
            return timedelta.max


class Seconds(Duration):
    """A duration that is converted to a number of seconds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(_in_seconds(value), param, ctx).total_seconds()


def _in_seconds(value: Any) -> Any:
    """Return a number without a unit in any form of a float, such as 1e3, as a duration."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return value
    in_range = math.isfinite(seconds) and 0 <= seconds < LONGEST.total_seconds()
    return timedelta(seconds=seconds) if in_range else value


def _words(length: timedelta) -> str:
    return f"{length.days}d" if length.days else f"{length.seconds}s"
