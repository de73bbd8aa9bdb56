"""A store that is cut off at any of its writes starts with all that was acknowledged, or is refused with advice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import shim

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "step", [67, pytest.param(1, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]
)
def test_no_cut_loses_an_acknowledged_change(tmp_path: Path, step: int) -> None:
    """First start, migration, work, checkpoints, backup and restore."""
    environment = os.environ | shim.build(tmp_path) | {"PYTHONPATH": str(ROOT)}
    folder = tmp_path / "cuts"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.store_cuts", str(folder), str(step)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # At least one of each scenario, and one that came to its end.
    assert int(done.stdout) >= 10
