"""Where a store is: the URL of a database, perhaps with the name of a schema."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from runsvc.core.errors import StoreRefused
from runsvc.database_url import DatabaseUrl

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Names that need no quotes anywhere.
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
#: Limits of a connection, unless the URL sets them. A silent network is noticed within about ten seconds.
_DEFAULTS: Final = {
    "connect_timeout": "5",
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    # Of several hosts, the one that accepts writes. A replica would answer with an older state.
    "target_session_attrs": "read-write",
    "fallback_application_name": "runsvc",
    "client_encoding": "UTF8",
}
#: Variables of libpq that set a parameter which has a default here.
_VARIABLES: Final = {
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


class Place(NamedTuple):
    """The parameters of a connection."""

    #: For messages: the URL without a password.
    name: str
    #: The schema that holds the tables; None for the first of the user's search_path.
    schema: str | None
    parameters: Mapping[str, Any]


def place(url: str) -> Place:
    """The place that a URL names. StoreRefused if the URL is not valid, without its text, which may have a password."""
    name = str(DatabaseUrl(url))
    base, _, query = url.partition("?")
    options = parse_qsl(query, keep_blank_values=True)
    schema = next((value for key, value in options if key == "schema"), None)
    others = urlencode([(key, value) for key, value in options if key != "schema"])
    try:
        given = conninfo_to_dict(f"{base}?{others}" if others else base)
    except psycopg.Error as error:
        raise StoreRefused(
            name, "it is no valid URL: write postgresql://USER@HOST:PORT/DATABASE"
        ) from error
    if schema is not None:
        if not _SCHEMA.fullmatch(schema):
            raise StoreRefused(
                name,
                "the name of a schema has lower-case letters, digits and underscores, at most 63",
            )
        options_before = given.get("options") or os.environ.get("PGOPTIONS", "")
        given["options"] = f"{options_before} -c search_path={schema}".strip()
    defaults = {
        name: value
        for name, value in _DEFAULTS.items()
        if _VARIABLES.get(name, "") not in os.environ
    }
    return Place(name, schema, {**defaults, **given})
