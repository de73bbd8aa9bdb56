"""The signals of programs that tests start."""

from __future__ import annotations

import signal


def restore_signals() -> None:
    """Restore the default actions in a new process. pytest may ignore signals: in a background job, or under nohup."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
