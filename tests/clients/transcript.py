"""The transcript: the expected answers of every language's driver, normalized to be the same in each test run."""

from __future__ import annotations

import json
import re
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[2] / "clients/conformance/transcript.jsonl"

#: The longest text in characters that is not replaced by its hash.
_LONG = 1000

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Names:
    """Replaces ids by $store, $run1, $run2 …, in the order of their appearance."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._runs = 0

    def add_store(self, store_id: str) -> None:
        """Register the id of a store."""
        self._names.setdefault(store_id, "$store")

    def normalize(self, value: Any) -> Any:
        """The value with names for ids, hashes for long texts, and integers for whole numbers."""
        if isinstance(value, str) and len(value) > _LONG:
            return f"$sha256:{sha256(value.encode()).hexdigest()}"
        if isinstance(value, str):
            return _ID.sub(lambda found: self._name(found[0]), value)
        if isinstance(value, float) and abs(value) < 2**53 and value.is_integer():
            return int(value)
        if isinstance(value, list):
            return [self.normalize(item) for item in value]
        if isinstance(value, dict):
            if "status_reason" in value and "error" in value:
                # The server's message for people is not part of the contract.
                value = value | {"error": "$text"}
            return {key: self.normalize(value[key]) for key in sorted(value)}
        return value

    def _name(self, run_id: str) -> str:
        if run_id not in self._names:
            self._runs += 1
            self._names[run_id] = f"$run{self._runs}"
        return self._names[run_id]


def line(scenario: str, **fields: Any) -> str:
    """One line of the transcript."""
    return json.dumps({"scenario": scenario, **fields}, ensure_ascii=False, allow_nan=False)


def golden() -> dict[str, list[str]]:
    """The lines of the transcript, by scenario."""
    lines: dict[str, list[str]] = {}
    for text in GOLDEN.read_text("utf-8").splitlines() if GOLDEN.exists() else ():
        lines.setdefault(json.loads(text)["scenario"], []).append(text)
    return lines


def write(transcript: dict[str, list[str]]) -> None:
    """Write the transcript."""
    GOLDEN.write_text(
        "".join(text + "\n" for lines in transcript.values() for text in lines), "utf-8"
    )


def difference(expected: list[str], got: list[str]) -> str:
    """A unified diff, empty if there is no difference."""
    return "\n".join(unified_diff(expected, got, "transcript.jsonl", "answers", lineterm="", n=1))
