"""Progress, and the usage by model, as protobuf messages and back."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from runsvc.core.model import ModelUsage, Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from runsvc.v1 import run_pb2


_REPORTED: Final = tuple(
    field.name for field in fields(Progress) if field.name not in ("by_model", "final")
)


def progress_from(message: run_pb2.Progress) -> Progress:
    """The usage in a report. The report itself does not decide whether it is final."""
    return Progress(**_reported(message) | {"final": False})


def read_progress(message: run_pb2.Progress) -> Progress:
    """The progress of a stored run."""
    return Progress(**_reported(message))


def write_progress(message: run_pb2.Progress, progress: Progress) -> None:
    """Set the message of the progress of a run."""
    # An empty report is still present.
    message.SetInParent()
    for name in _REPORTED:
        if (value := getattr(progress, name)) is not None:
            setattr(message, name, value)
    if progress.by_model is not None:
        _write_models(message.by_model, progress.by_model)
    if progress.final:
        message.final = True


def _reported(message: run_pb2.Progress) -> dict[str, Any]:
    # Field names equal those of the domain, and most reports set few of them.
    reported = {field.name: value for field, value in message.ListFields()}
    if "by_model" in reported:
        reported["by_model"] = _read_models(message.by_model)
    return reported


def _read_models(messages: Mapping[str, run_pb2.ModelUsage]) -> dict[str, ModelUsage]:
    """The usage in a report, by the name of the model."""
    return {name: ModelUsage(**_figures(messages[name])) for name in messages}


def _write_models(
    messages: MutableMapping[str, run_pb2.ModelUsage], usage: Mapping[str, ModelUsage]
) -> None:
    """Set the messages of each model."""
    for name, figures in usage.items():
        message = messages[name]
        # A model without figures is still present.
        message.SetInParent()
        for field in message.DESCRIPTOR.fields:
            if (value := getattr(figures, field.name)) is not None:
                setattr(message, field.name, value)


def _figures(message: run_pb2.ModelUsage) -> dict[str, Any]:
    return {field.name: value for field, value in message.ListFields()}
