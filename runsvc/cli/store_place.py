"""The type of arguments that name a store: a file, or a database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from runsvc.database_url import DatabaseUrl


# ParamType is generic only since click 8.2, so no type argument is given.
class StorePlace(click.ParamType):  # type: ignore[type-arg]
    """The path of a file, or the URL of a database."""

    name = "store"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path | DatabaseUrl:
        if isinstance(value, DatabaseUrl):
            return value
        if isinstance(value, str) and DatabaseUrl.matches(value):
            return DatabaseUrl(value)
        path: Path = click.Path(dir_okay=False, path_type=Path).convert(value, param, ctx)
        return path
