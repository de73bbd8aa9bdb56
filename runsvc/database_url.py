"""The URL of a PostgreSQL database, as in --db."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs

_SCHEMES: Final = ("postgresql://", "postgres://")


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A URL. Neither str() nor repr() shows a password in it."""

    url: str = field(repr=False)

    @staticmethod
    def matches(text: str) -> bool:
        """True if a text is a URL, and not the path of a file."""
        return text.startswith(_SCHEMES)

    def __str__(self) -> str:
        base, _, query = self.url.partition("?")
        scheme, _, rest = base.partition("://")
        credentials, separator, place = rest.rpartition("@")
        user = credentials.partition(":")[0]
        schema = parse_qs(query).get("schema")
        end = f"?schema={schema[0]}" if schema else ""
        return f"{scheme}://{user}{separator}{place}{end}"
