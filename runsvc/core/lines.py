"""Lines about runs for the log. They hold ids and reasons, never metadata or kwargs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runsvc.core.model import Run


def end_line(run: Run) -> str:
    """The line about a run that its executor did not end, or whose attempt it did not end."""
    cause = run.status_reason.name
    if run.superseded_by:
        cause += f" by {run.superseded_by}"
    worker = f", worker {run.worker_id}" if run.worker_id else ""
    if not run.status.terminal:
        return f"Run {run.run_id} is {run.status.name} again after attempt {run.attempt} ({cause})"
    return f"Run {run.run_id} ended: {run.status.name} ({cause}){worker}"
