"""The table of the server's options is complete, and its variables and defaults are right."""

from __future__ import annotations

import re
from pathlib import Path

import click

from runsvc.cli.serve import serve

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
ROW = re.compile(r"\| `(--[a-z-]+)` \| `(RUNSVC_SERVE_[A-Z_]+)` \| ([^|]+) \|")
#: Defaults that the table gives in words.
WORDS = {
    "--orphan-error": "a sentence",
    "--log-keep-age": "any age",
    "--retain-runs": "for ever",
    "--max-active-per-owner": "no limit",
    "--max-calls": "no limit",
    "--max-rate-per-owner": "no limit",
    "--max-watches-per-owner": "no limit",
    "--poll-only": "off",
    "--insecure-listen": "off",
    "--tls-cert": "no TLS",
    "--tls-key": "no TLS",
    "--tls-client-ca": "none",
    "--auth-tokens": "none",
    "--auth-certs": "none",
    "--auth-jwks": "none",
    "--auth-issuer": "none",
    "--auth-audience": "none",
    "--no-reflection": "off",
    "--no-migrate": "off",
}


def test_the_table_lists_every_option_with_its_variable_and_default() -> None:
    rows = [found.groups() for found in ROW.finditer(PAGE.read_text("utf-8"))]
    options = [option for option in serve.params if isinstance(option, click.Option)]
    expected = [
        (
            option.opts[0],
            f"RUNSVC_SERVE_{option.opts[0].removeprefix('--').replace('-', '_').upper()}",
            WORDS.get(option.opts[0], f"`{option.default}`"),
        )
        for option in options
    ]
    assert rows == expected
