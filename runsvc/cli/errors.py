"""How failures are told to people and to programs, and the exit codes that they become."""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import IO, TYPE_CHECKING, Any, Final

import click
from grpc import StatusCode

from runsvc.cli.next_command import again, called_as, target_option
from runsvc.cli.render import clean
from runsvc.client import DEFAULT_TARGET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.client import RunError

_OTHER: Final = 1
_REFUSED: Final = 4

_EXITS: Final = {
    StatusCode.INVALID_ARGUMENT: 2,
    StatusCode.NOT_FOUND: 3,
    StatusCode.ABORTED: _REFUSED,
    StatusCode.FAILED_PRECONDITION: _REFUSED,
    StatusCode.ALREADY_EXISTS: _REFUSED,
    StatusCode.OUT_OF_RANGE: _REFUSED,
    StatusCode.UNAVAILABLE: 5,
    StatusCode.DEADLINE_EXCEEDED: 5,
    StatusCode.RESOURCE_EXHAUSTED: 5,
}

#: What to do next, by reason; filled in from the error's metadata and _call_again.
_HINTS: Final = {
    "THREAD_BUSY": (
        "Cancel it first: {runsvc} cancel {run_id}{target}",
        "Or take its place: {interrupting}",
    ),
    "THREAD_FULL": ("Cancel one of them: {runsvc} cancel --thread {thread_id}{target}",),
    "INVALID_TRANSITION": ("See where it stands: {runsvc} get {run_id}{target}",),
    "NOT_HOLDER": (
        "Name the worker that holds it with --worker. See which it is: {runsvc} get {run_id}{target}",
    ),
    "REQUEST_ID_REUSED": ("See what it created: {runsvc} get {run_id}{target}",),
    "REVISION_COMPACTED": ("Watch again{without_after}",),
    "REVISION_UNKNOWN": ("Watch again{without_after}",),
    "OUTCOME_UNKNOWN": ("Repeat it with the same --request-id, or look at the thread's list",),
    "CORRUPT_ROW": ("Remove it: {runsvc} admin delete {run_id}{target}",),
}

_ELSEWHERE: Final = "If it listens elsewhere: --target HOST:PORT, or RUNSVC_TARGET"
_TLS: Final = "TLS was tried (RUNSVC_TLS_CA); the server may speak plain text"

_LOOPBACK: Final = ("127.", "localhost:", "[::1]:")
#: A host, or an IPv6 address in brackets, and a port; before it how the transport is to look it up.
_ADDRESS: Final = re.compile(
    r"(?:dns:(?://[^/]*/)?|ipv[46]:)?(?:[^/:\[\]]+|\[[^\]]+\]):(\d{1,5})", re.ASCII
)
_OTHER_SCHEMES: Final = ("unix:", "unix-abstract:", "xds:", "vsock:")
_MAX_PORT: Final = 65_535


class CallFailed(click.ClickException):
    """A call that failed, in words or as JSON; the exit code says of what kind."""

    def __init__(
        self, error: RunError, *, target: str = "", as_json: bool = False, hints: Sequence[str] = ()
    ) -> None:
        super().__init__(sentence_of(error, target))
        self.error = error
        # click reads it from the instance, but declares it the class's.
        self.exit_code = exit_code_of(error)  # type: ignore[misc]
        self.hints = (*hints_of(error, target), *hints)
        self._as_json = as_json

    def show(self, file: IO[Any] | None = None) -> None:
        lines = [json.dumps(self._object())] if self._as_json else self._lines()
        for line in lines:
            click.echo(line, file=file, err=file is None)

    def _lines(self) -> list[str]:
        faults = [" ".join(filter(None, violation)) for violation in self.error.violations]
        # The message names faults too: one is told there, more are a line each.
        message = "The request is invalid:" if len(faults) > 1 else self.message
        return [
            f"Error: {clean(message)}",
            *(f"  {clean(fault)}" for fault in faults if fault not in message),
            *(f"Hint: {clean(hint)}" for hint in self.hints),
        ]

    def _object(self) -> dict[str, Any]:
        return {
            "code": self.error.code.name,
            "reason": self.error.reason,
            "message": self.message,
            "metadata": dict(self.error.metadata),
            "violations": [violation._asdict() for violation in self.error.violations],
            "retry_after": self.error.retry_after,
            "hints": list(self.hints),
            "exit_code": self.exit_code,
        }


def exit_code_of(error: RunError) -> int:
    """The exit code of a failed call."""
    if error.reason == "THREAD_FULL":
        return _REFUSED
    return _EXITS.get(error.code, _OTHER)


def sentence_of(error: RunError, target: str) -> str:
    """What happened. Failures of the transport carry no reason, and words that say little to people."""
    if not error.reason and target:
        if error.code is StatusCode.UNAVAILABLE:
            return f"No runsvc server answers at {target}.{_start(target)}"
        if error.code is StatusCode.DEADLINE_EXCEEDED:
            return f"{target} did not answer in time; --timeout allows more."
    return error.message or error.code.name


def hints_of(error: RunError, target: str = "") -> tuple[str, ...]:
    """What to do about it; hints that need a fact which the error does not tell are left out."""
    facts = {name: shlex.quote(value) for name, value in error.metadata.items()}
    facts |= _call_again(target)
    hints = []
    for hint in _HINTS.get(error.reason, ()):
        try:
            hints.append(hint.format_map(facts))
        except KeyError:
            continue
    if not error.reason and error.code is StatusCode.UNAVAILABLE and target:
        hints.extend(_unreached(target))
    if error.retry_after is not None:
        hints.append(f"Try again in {error.retry_after:g} s")
    return tuple(hints)


def _call_again(target: str) -> dict[str, str]:
    return {
        "runsvc": called_as(),
        "target": target_option(target),
        "interrupting": again("--strategy", "interrupt", target=target),
        "without_after": " without --after" if _given("after") else "",
    }


def _given(parameter: str) -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and context.params.get(parameter) is not None


def _unreached(target: str) -> list[str]:
    """What may be the matter where no server answers."""
    if not _is_address(target):
        return [f"Write it as HOST:PORT, such as {DEFAULT_TARGET}"]
    return [_ELSEWHERE, *([_TLS] if _tries_tls() else [])]


def _tries_tls() -> bool:
    return bool(os.environ.get("RUNSVC_TLS_CA"))


def _is_address(target: str) -> bool:
    told = _ADDRESS.fullmatch(target)
    return target.startswith(_OTHER_SCHEMES) or bool(told and 0 < int(told[1]) <= _MAX_PORT)


def _start(target: str) -> str:
    """How to start a server there. Empty: not from this machine, or not what `serve` could be told."""
    if not target.startswith(_LOOPBACK) or not _is_address(target) or _tries_tls():
        return ""
    where = "" if target == DEFAULT_TARGET else f" --listen {shlex.quote(target)}"
    return f" Start one with: {called_as()} serve{where}"
