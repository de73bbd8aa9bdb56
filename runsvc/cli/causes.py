"""Causes of a failed connection, from the transport's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click
from grpc import StatusCode

from runsvc.cli.next_command import program_name, repeated_command, target_argument

if TYPE_CHECKING:
    from runsvc.client import RunError

_UNTRUSTED: Final = "--ca (RUNSVC_TLS_CA) does not hold the authority of its certificate."
#: Part of the transport's message, and the cause for people.
_CAUSES: Final = (
    ("WRONG_VERSION_NUMBER", "The server does not use TLS, which --ca (RUNSVC_TLS_CA) enables."),
    ("CERTIFICATE_VERIFY_FAILED", _UNTRUSTED),
    # Another authority of the same name.
    ("BAD_SIGNATURE", _UNTRUSTED),
    ("Hostname Verification", "Its certificate is for another host name."),
    ("security handshaker", "A file of --ca, --cert or --key holds no valid certificate or key."),
    ("resolving", "The host name cannot be resolved."),
    ("DNS resolution failed", "The host name cannot be resolved."),
    (
        "SETTINGS frame",
        "A program accepts connections there but sends nothing: it may be stopped or overloaded.",
    ),
    (
        "Socket closed",
        "The connection was closed at once: the server may use TLS, or need a certificate. See --ca and --cert.",
    ),
    (
        "Connection reset",
        "The connection was closed at once: the server may use TLS, or need a certificate. See --ca and --cert.",
    ),
    ("No route to host", "The network has no route to the host."),
    ("Network is unreachable", "The network is unreachable."),
)
#: The call was not sent if the transport's message contains one of these.
_NOT_SENT: Final = ("failed to connect", "resolving", "DNS resolution failed")
#: Failures after which the outcome of a call is unknown, unless the server gave a reason.
_UNKNOWN: Final = (
    StatusCode.DEADLINE_EXCEEDED,
    StatusCode.UNAVAILABLE,
    StatusCode.CANCELLED,
    StatusCode.INTERNAL,
    StatusCode.UNKNOWN,
)
_READS: Final = ("get", "list", "watch", "info")


def cause_of(error: RunError) -> str:
    """Return why there is no connection, as a sentence. Empty if nothing listens, or the cause is unknown."""
    return next((cause for part, cause in _CAUSES if part in error.message), "")


def outcome_hints(error: RunError, target: str) -> list[str]:
    """Return hints if the command may have taken effect although it failed."""
    context = click.get_current_context(silent=True)
    is_sent = not any(part in error.message for part in _NOT_SENT)
    if context is None or error.reason or error.code not in _UNKNOWN or not is_sent:
        return []
    if context.info_name in _READS:
        return []
    if context.info_name != "create":
        return ["The outcome is unknown: the command may have taken effect. It can be repeated"]
    if context.params.get("request_id"):
        return ["The outcome is unknown. Repeat the command with the same --request-id"]
    command = (
        f"{program_name()} list {context.params.get('thread_id', '')}{target_argument(target)}"
    )
    return [
        f"The outcome is unknown: the run may have been created. See: {command}",
        f"To make a creation safe to repeat, name it: {repeated_command('--request-id', 'ID', target=target)}",
    ]
