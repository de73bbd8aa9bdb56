"""Generate the parts of `runsvc.client.sync` that mirror `runsvc.client.aio`: python generate_sync.py [--check]

Not done with unasync: its last release is from May 2024, it needs setuptools at run time, and it replaces names only.
The docstrings and their examples must be translated too.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

CLIENT: Final = Path(__file__).parents[2] / "runsvc" / "client"
MODULES: Final = ("admin.py", "client.py", "dispatch.py", "end_report.py", "runs.py")

_REPLACEMENTS: Final = (
    (r"(?m)^import asyncio$", "import time"),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"\bAwaitable, ", ""),
    (r"\bAwaitable\[([^\[\]]*)\]", r"\1"),
    (r"\basync (def|for|with)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\bclient\.aio\b", "client.sync"),
    (r"\basyncio\b", "threads"),
    (r"\b[Aa]n (?=`with`)", "a "),
)


def translated(name: str) -> str:
    """Return the synchronous version of a module of `runsvc.client.aio`."""
    text = (CLIENT / "aio" / name).read_text("utf-8")
    for pattern, replacement in _REPLACEMENTS:
        text = re.sub(pattern, replacement, text)
    header = f"# Generated from runsvc/client/aio/{name} by `make gen`; do not edit.\n"
    return _ruff("format", _ruff("check", header + text, "--select=I", "--fix", "--quiet"))


def _ruff(command: str, text: str, *options: str) -> str:
    arguments = [sys.executable, "-m", "ruff", command, *options, f"--stdin-filename={CLIENT}/x.py"]
    return subprocess.run(
        [*arguments, "-"], input=text, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def main(check: bool) -> int:
    """Write the generated modules, or with `check` only list those that are stale."""
    stale = 0
    for name in MODULES:
        target, text = CLIENT / "sync" / name, translated(name)
        if check and (not target.exists() or target.read_text("utf-8") != text):
            print(f"  stale:      runsvc/client/sync/{name}")
            stale = 1
        elif not check:
            target.write_text(text, "utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
