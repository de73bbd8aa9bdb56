"""The usage by model as protobuf messages and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runsvc.core.model import ModelUsage

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from runsvc.v1 import run_pb2


def read(messages: Mapping[str, run_pb2.ModelUsage]) -> dict[str, ModelUsage]:
    """The usage in a report, by the name of the model."""
    return {name: ModelUsage(**_figures(messages[name])) for name in messages}


def write(
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
