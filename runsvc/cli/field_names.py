"""The names of request fields as the user typed them."""

from __future__ import annotations

from typing import Final

import click

#: Parameters whose name differs from the field's.
_PARAMETERS: Final = {
    "assistant_id": "assistant",
    "assistant_ids": "assistants",
    "worker_id": "worker",
    "model_name": "model",
    "multitask_strategy": "strategy",
    "timeout": "run_timeout",
    "heartbeat_interval": "heartbeat",
    "after_revision": "after",
    "thread_id": "thread",
    "set": "changes",
}


def typed_name(field: str) -> str:
    """Return a field as the current command's argument or option. A field that is neither is returned unchanged."""
    context = click.get_current_context(silent=True)
    parameters = {each.name: each for each in context.command.params} if context else {}
    name = field.removeprefix("spec.").removeprefix("progress.").partition(".")[0].partition("[")[0]
    for candidate in (name, _PARAMETERS.get(name, name)):
        parameter = parameters.get(candidate)
        if isinstance(parameter, click.Argument):
            return parameter.human_readable_name.strip("[].")
        if parameter is not None and candidate != "timeout":
            return max(parameter.opts, key=len)
    return field
