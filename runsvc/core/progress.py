"""Progress: how reports of usage change a run. Pure functions."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from runsvc.core.errors import InvalidRequest, Violation
from runsvc.core.model import ModelUsage, Progress, RunStatus, evolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runsvc.core.model import Run, Stamp

#: Maximum length of a message preview, in characters. A longer one is cut.
PREVIEW_LIMIT: Final = 2_000

#: Maximum number of models in the usage of a run.
MODELS_LIMIT: Final = 32

_REPORTED = tuple(
    field.name for field in fields(Progress) if field.name not in ("by_model", "final")
)

#: The figures of a model's usage.
FIGURES: Final = tuple(field.name for field in fields(ModelUsage))
_NO_USAGE: Final = ModelUsage()


def merge_progress(known: Progress | None, report: Progress, *, final: bool) -> Progress:
    """Return the known progress with the fields that the report sets, previews cut.

    Raise InvalidRequest if it would have too many models.
    """
    reported: dict[str, Any] = {
        name: _cut_preview(value)
        for name in _REPORTED
        if (value := getattr(report, name)) is not None
    }
    known = known or Progress()
    if report.by_model is not None:
        reported["by_model"] = _merge_models(known.by_model or {}, report.by_model)
    return evolve(known, **reported, final=final)


def has_final(run: Run) -> bool:
    """Return True if the run has its final usage, which no later report changes."""
    return run.progress is not None and run.progress.final


def add_final_progress(run: Run, progress: Progress | None, at: Stamp) -> Run:
    """Return an ended run with its final usage, unless there is none to add or the run already has it."""
    if progress is None or has_final(run):
        return run
    return evolve(
        run,
        revision=at.revision,
        progress=merge_progress(run.progress, progress, final=True),
        updated_at=at.time,
    )


def is_stale(run: Run, sequence: int | None) -> bool:
    """Return True if a report with this sequence, or with a higher one, was already applied."""
    return (
        sequence is not None
        and run.progress_sequence is not None
        and sequence <= run.progress_sequence
    )


def accepts_progress(run: Run, *, final: bool) -> bool:
    """Return True if the status of the run allows a report: while RUNNING, and once, as final, after any end."""
    if has_final(run):
        return False
    return run.status is RunStatus.RUNNING or (final and run.status.terminal)


def _merge_models(
    known: Mapping[str, ModelUsage], report: Mapping[str, ModelUsage]
) -> dict[str, ModelUsage]:
    merged = {**known}
    for name, usage in report.items():
        figures = {key: value for key in FIGURES if (value := getattr(usage, key)) is not None}
        merged[name] = evolve(known.get(name, _NO_USAGE), **figures)
    if len(merged) > MODELS_LIMIT:
        description = f"brings the run to {len(merged)} models; the limit is {MODELS_LIMIT}"
        raise InvalidRequest((Violation("progress.by_model", description),))
    return merged


def _cut_preview(value: int | str) -> int | str:
    return value[:PREVIEW_LIMIT] if isinstance(value, str) else value
