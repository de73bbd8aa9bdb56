"""The status and the error text with which a block ends. No exception of the work can make these fail."""

from __future__ import annotations

import logging
from typing import Final

from runsvc.v1.run_pb2 import Progress, RunStatus

_log: Final = logging.getLogger("runsvc.client")

#: Longest error text that is sent, in bytes. The server keeps 16 KiB of it, and marks the cut.
_ERROR_BYTES: Final = 64 << 10
#: Characters of `last_ai_message` that the server keeps.
_MESSAGE_CHARACTERS: Final = 2_000
_STOPPED: Final = "The work was stopped before the run had ended."
#: Error text if the server refuses the text of the failure.
BARE_ERROR: Final = "The work failed. Its error could not be reported."


class RetryableError(Exception):
    """Raise it, or a subclass, in the work of a run: the ERROR is reported as retryable.

    The run becomes PENDING again if it has attempts left. Otherwise it ends as ERROR.
    """


def outcome(failure: BaseException | None) -> tuple[RunStatus, str | None]:
    """Return the final status and error text of a block that ended with `failure`, cut if it is long."""
    if failure is None:
        return RunStatus.RUN_STATUS_SUCCESS, None
    if not isinstance(failure, Exception):
        return RunStatus.RUN_STATUS_ERROR, _STOPPED
    text = _text_of(failure)
    # A character has at least one byte, so a huge text is not encoded as a whole.
    encoded = text[:_ERROR_BYTES].encode(errors="replace")
    return RunStatus.RUN_STATUS_ERROR, encoded[:_ERROR_BYTES].decode(errors="ignore")


def _text_of(failure: Exception) -> str:
    """Return the text of an exception, or its type's name if it has no text or fails to give one."""
    # A metaclass may override the name.
    name: str = type.__dict__["__name__"].__get__(type(failure))
    try:
        # A subclass of str may override any method.
        text = str.__str__(str(failure))
    except BaseException as error:  # noqa: BLE001 - the failure of the work is the one that is raised.
        return f"{name} (its text cannot be read: {type(error).__name__})"
    if not text or isinstance(failure, KeyError):
        # The text of a KeyError is only the key.
        return ": ".join(filter(None, (name, text)))
    return text


def fitted(progress: Progress) -> Progress:
    """Return `progress` with its preview cut as the server cuts it. A longer one may be too large to send."""
    if len(progress.last_ai_message) <= _MESSAGE_CHARACTERS:
        return progress
    cut = Progress()
    cut.CopyFrom(progress)
    cut.last_ai_message = progress.last_ai_message[:_MESSAGE_CHARACTERS]
    return cut


def merge(total: Progress, progress: Progress) -> None:
    """Merge the fields that are set into `total`, and of each model the figures that are set."""
    known = {name: total.by_model[name] for name in progress.by_model if name in total.by_model}
    merged = Progress()
    for name, figures in known.items():
        merged.by_model[name].CopyFrom(figures)
        merged.by_model[name].MergeFrom(progress.by_model[name])
    # Replaces whole entries of the map.
    total.MergeFrom(progress)
    total.MergeFrom(merged)


def note(failure: BaseException, text: str) -> None:
    """Add a note to an exception, or log it if the exception does not accept notes."""
    try:
        failure.add_note(text)
    except BaseException:  # noqa: BLE001 - for example a frozen dataclass.
        _log.error("%s", text)
