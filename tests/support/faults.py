"""The violations that a check finds."""

from __future__ import annotations

import pytest

from runsvc.core.errors import InvalidRequest
from runsvc.wire.validation import Check


class Faults:
    """Collects the fields that a check refused."""

    def __init__(self) -> None:
        self.check = Check()

    def __enter__(self) -> Check:
        return self.check

    def __exit__(self, *_: object) -> None:
        with pytest.raises(InvalidRequest) as caught:
            self.check.__exit__(None, None, None)
        self.fields = fields_of(caught.value)


def fields_of(error: InvalidRequest) -> list[str]:
    """The fields that an error names; each of its descriptions is short."""
    assert all(len(violation.description) < 150 for violation in error.violations)
    return [violation.field for violation in error.violations]
