"""A server from the built wheel, and an empty folder for each project."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.dist.packages import VERSION, WHEEL, Venv, environment, package, run
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READY = f"runsvc {VERSION} serves on "


class Server:
    """A running server, and the command line that was installed with it."""

    def __init__(self, folder: Path, venv: Venv) -> None:
        self._folder = folder
        self._program = venv.bin / "runsvc"
        self._process = subprocess.Popen(
            [self._program, "serve", "--listen", "127.0.0.1:0", "--db", folder / "runs.db"],
            cwd=folder,
            env=environment(PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith(READY), line
        self.target = line.removeprefix(READY).split()[0]

    def stop(self) -> None:
        """Stop it as an operator does."""
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(PATIENCE) == 0
        assert self._process.stdout is not None
        self._process.stdout.close()

    def get(self, run_id: str) -> dict[str, Any]:
        """A run as the server knows it."""
        output = run(
            self._program, "get", run_id, "--json", "--target", self.target, cwd=self._folder
        )
        found: dict[str, Any] = json.loads(output)["run"]
        return found

    def check(self, output: str, worker_id: str) -> None:
        """Check a program's output, a run id and a status, and that the server agrees."""
        run_id, status = output.split()
        assert status == "SUCCESS"
        known = self.get(run_id)
        assert (known["status"], known["worker_id"]) == ("RUN_STATUS_SUCCESS", worker_id)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Venv:
    """A virtual environment with the wheel and its server."""
    built = package("python", WHEEL)
    return Venv(tmp_path_factory.mktemp("wheel") / "venv", f"{built}[server]")


@pytest.fixture(scope="session")
def server(wheel: Venv, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the wheel."""
    running = Server(tmp_path_factory.mktemp("server"), wheel)
    yield running
    running.stop()
