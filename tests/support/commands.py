"""Commands of runsvc in this process: to start one of their own takes longer than most commands."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from runsvc.cli import main

if TYPE_CHECKING:
    from click.testing import Result


class Commands:
    """Runs commands against one server."""

    def __init__(self, target: str) -> None:
        self.environment = {"RUNSVC_TARGET": target}

    async def run(self, *arguments: str, status: int = 0) -> str:
        """Return the output of a command, or its errors. It must exit with `status`."""
        done = await asyncio.to_thread(self._invoke, arguments)
        assert done.exit_code == status, done.output
        return done.stdout or done.stderr

    async def json(self, *arguments: str) -> Any:
        """Return the answer of a command as JSON."""
        return json.loads(await self.run(*arguments, "--json"))

    def _invoke(self, arguments: tuple[str, ...]) -> Result:
        return CliRunner().invoke(main, arguments, env=self.environment, prog_name="runsvc")
