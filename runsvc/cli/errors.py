"""Error messages for people and programs, hints, and exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import IO, TYPE_CHECKING, Any, Final

import click
from grpc import StatusCode

from runsvc.cli.causes import cause_of, outcome_hints
from runsvc.cli.field_names import typed_name
from runsvc.cli.next_command import program_name, repeated_command, target_argument
from runsvc.cli.render import clean
from runsvc.client import DEFAULT_TARGET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.client import RunError

_FAILED: Final = 1
_REJECTED: Final = 4

_EXITS: Final = {
    StatusCode.INVALID_ARGUMENT: 2,
    StatusCode.NOT_FOUND: 3,
    StatusCode.ABORTED: _REJECTED,
    StatusCode.FAILED_PRECONDITION: _REJECTED,
    StatusCode.ALREADY_EXISTS: _REJECTED,
    StatusCode.OUT_OF_RANGE: _REJECTED,
    StatusCode.UNAVAILABLE: 5,
    StatusCode.DEADLINE_EXCEEDED: 5,
    StatusCode.RESOURCE_EXHAUSTED: 5,
}

#: Hints by reason. The placeholders are filled from the error's metadata and `_commands`.
_HINTS: Final = {
    "THREAD_BUSY": (
        "Cancel the active run first: {runsvc} cancel {run_id}{target}",
        "Or displace it: {interrupting}",
    ),
    "THREAD_FULL": ("Cancel an active run: {runsvc} cancel --thread {thread_id}{target}",),
    "INVALID_TRANSITION": ("Show its status: {runsvc} get {run_id}{target}",),
    "NOT_HOLDER": ("Name the holder with --worker. Show it with: {runsvc} get {run_id}{target}",),
    "REQUEST_ID_REUSED": ("Show the run that it created: {runsvc} get {run_id}{target}",),
    "REVISION_COMPACTED": ("Start the watch again{without_after}",),
    "REVISION_UNKNOWN": ("Start the watch again{without_after}",),
    "OUTCOME_UNKNOWN": ("Repeat it with the same --request-id, or list the runs of the thread",),
    "UNAUTHENTICATED": (
        "Send a token with --token-file FILE or RUNSVC_TOKEN; an operator makes one with: {runsvc} token new",
    ),
    "CORRUPT_ROW": ("Remove the run: {runsvc} admin delete {run_id}{target}",),
}

_OTHER_ADDRESS: Final = "If the server has another address, set --target HOST:PORT or RUNSVC_TARGET"
_TLS: Final = "--ca (RUNSVC_TLS_CA) enables TLS. Omit it if the server does not use TLS"

_LOOPBACK: Final = ("127.", "localhost:", "[::1]:")
#: A host, or an IPv6 address in brackets, and a port. A scheme of grpc may precede it.
_ADDRESS: Final = re.compile(
    r"(?:dns:(?://[^/]*/)?|ipv[46]:)?(?:[^/:\[\]]+|\[[^\]]+\]):(\d{1,5})", re.ASCII
)
_OTHER_SCHEMES: Final = ("unix:", "unix-abstract:", "xds:", "vsock:")
_MAX_PORT: Final = 65_535


class CallFailed(click.ClickException):
    """A failed call, printed as sentences or as JSON."""

    def __init__(
        self, error: RunError, *, target: str = "", as_json: bool = False, hints: Sequence[str] = ()
    ) -> None:
        super().__init__(message_of(error, target))
        self.error = error
        # click declares it on the class, but reads it from the instance.
        self.exit_code = exit_code_of(error)  # type: ignore[misc]
        self.hints = (*hints_of(error, target), *hints)
        self._as_json = as_json
        # The command is known only while it runs.
        self._names = {each.field: typed_name(each.field) for each in error.violations}

    def show(self, file: IO[Any] | None = None) -> None:
        lines = [json.dumps(self._object())] if self._as_json else self._lines()
        for line in lines:
            click.echo(line, file=file, err=file is None)

    def _lines(self) -> list[str]:
        message, violations = self.message, []
        for field, description in self.error.violations:
            violation = " ".join(filter(None, (self._names[field], description)))
            violations.append(violation)
            message = message.replace(f"{field} {description}", violation)
        # A single violation is part of the message. Several get a line each.
        message = "The request is invalid:" if len(violations) > 1 else message
        request_id = self.error.request_id
        return [
            f"Error: {clean(message)}",
            *(f"  {clean(each)}" for each in violations if each not in message),
            *(f"Hint: {clean(hint)}" for hint in self.hints),
            *([f"Request id: {clean(request_id)}"] if request_id else []),
        ]

    def _object(self) -> dict[str, Any]:
        return {
            "code": self.error.code.name,
            "reason": self.error.reason,
            "message": self.message,
            "metadata": dict(self.error.metadata),
            "violations": [violation._asdict() for violation in self.error.violations],
            "retry_after": self.error.retry_after,
            "request_id": self.error.request_id,
            "hints": list(self.hints),
            "exit_code": self.exit_code,
        }


def exit_code_of(error: RunError) -> int:
    """Return the exit code of a failed call."""
    if error.reason == "THREAD_FULL":
        return _REJECTED
    return _EXITS.get(error.code, _FAILED)


def message_of(error: RunError, target: str) -> str:
    """Return the message for people. The messages of transport failures are replaced."""
    if not error.reason and target:
        if error.code is StatusCode.UNAVAILABLE:
            if is_address(target) and (cause := cause_of(error)):
                return f"No runsvc server answers at {target}. {cause}"
            return f"No runsvc server answers at {target}.{_start_advice(target)}"
        if error.code is StatusCode.DEADLINE_EXCEEDED:
            return f"{target} did not answer in time. Allow more time with --timeout."
    return error.message or error.code.name


def hints_of(error: RunError, target: str = "") -> tuple[str, ...]:
    """Return hints for the next step. A hint is omitted if the error lacks a value that it needs."""
    values = {name: shlex.quote(value) for name, value in error.metadata.items()}
    values |= _commands(target)
    hints = []
    for hint in _HINTS.get(error.reason, ()):
        try:
            hints.append(hint.format_map(values))
        except KeyError:
            continue
    if not error.reason and error.code is StatusCode.UNAVAILABLE and target:
        hints.extend(_connection_hints(target))
    if target:
        hints.extend(outcome_hints(error, target))
    if error.retry_after is not None:
        hints.append(f"Try again in {error.retry_after:g} s")
    return tuple(hints)


def _commands(target: str) -> dict[str, str]:
    return {
        "runsvc": program_name(),
        "target": target_argument(target),
        "interrupting": repeated_command("--strategy", "interrupt", target=target),
        "without_after": " without --after" if _is_given("after") else "",
    }


def _is_given(parameter: str) -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and context.params.get(parameter) is not None


def _connection_hints(target: str) -> list[str]:
    """Return hints for a server that does not answer."""
    if not is_address(target):
        return [f"Write the address as HOST:PORT, such as {DEFAULT_TARGET}"]
    return [_OTHER_ADDRESS, *([_TLS] if _uses_tls() else [])]


def _uses_tls() -> bool:
    return bool(os.environ.get("RUNSVC_TLS_CA")) or _is_given("ca")


def is_address(target: str) -> bool:
    """Return whether a target names a host and a port."""
    match = _ADDRESS.fullmatch(target)
    return target.startswith(_OTHER_SCHEMES) or bool(match and 0 < int(match[1]) <= _MAX_PORT)


def _start_advice(target: str) -> str:
    """Return how to start a server at `target`. Empty if it cannot be started from this machine."""
    if not target.startswith(_LOOPBACK) or not is_address(target) or _uses_tls():
        return ""
    listen = "" if target == DEFAULT_TARGET else f" --listen {shlex.quote(target)}"
    return f" Start one with: {program_name()} serve{listen}"
