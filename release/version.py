"""One version for every package of a release.

`runsvc/__init__.py` names the version. Other files repeat it for the tools of their language.

    python release/version.py           check that all files agree
    python release/version.py 0.3.0     write a version to all files
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION = r"(?P<version>\d+\.\d+\.\d+)"


@dataclass(frozen=True)
class Place:
    """Files that repeat the version, and the text around it."""

    files: str
    #: `VERSION` in it stands for the version.
    pattern: str
    #: The least number of matches in each file.
    at_least: int = 1

    def regex(self) -> re.Pattern[str]:
        """The compiled pattern."""
        return re.compile(self.pattern.replace("VERSION", VERSION), re.MULTILINE)


SOURCE = Place("runsvc/__init__.py", r'^__version__ = "VERSION"$')

_MAVEN = r"<artifactId>runsvc-(?:client|example)</artifactId>\s*<version>VERSION</version>"
# The names of packages in commands and in the manifests of other projects.
_IN_PAGES = (
    r"\brunsvc(?:\[\w+\])?==VERSION",
    r"\brunsvc(?:-client)?-VERSION",
    r"@runsvc/client@\^?VERSION",
    r"clients/go[@/]v?VERSION",
    r'\brunsvc-client(?:@| = "| = \{ version = ")VERSION',
    r"io\.github\.runsvc:runsvc-client:VERSION",
    _MAVEN,
)
_PAGES = ("README.md", "clients/*/README.md", "docs/*.md")

PLACES = (
    SOURCE,
    Place("clients/typescript/package.json", r'^  "version": "VERSION"'),
    Place(
        "clients/typescript/package-lock.json",
        r'"name": "@runsvc/client",\s*"version": "VERSION"',
        at_least=2,
    ),
    Place("clients/rust/Cargo.toml", r'^name = "runsvc-client"\nversion = "VERSION"'),
    Place("clients/rust/Cargo.lock", r'^name = "runsvc-client"\nversion = "VERSION"'),
    Place("clients/java/pom.xml", _MAVEN),
    Place("clients/java/example/pom.xml", _MAVEN),
    *(Place(files, pattern, at_least=0) for files in _PAGES for pattern in _IN_PAGES),
)

CHANGELOG = "CHANGELOG.md"
_UNRELEASED = "## [Unreleased]\n"


def current(root: Path = ROOT) -> str:
    """The version that `runsvc/__init__.py` names. Raises ValueError if it names none."""
    found = SOURCE.regex().search((root / SOURCE.files).read_text())
    if found is None:
        raise ValueError(f'{SOURCE.files}: no line __version__ = "1.2.3"')
    return found["version"]


def disagreements(root: Path = ROOT) -> list[str]:
    """One line for each file that lacks the version or names another one."""
    version = current(root)
    lines = [line for place in PLACES for line in _disagreements(root, place, version)]
    if f"\n## [{version}]" not in (root / CHANGELOG).read_text():
        lines.append(f"{CHANGELOG}: no heading ## [{version}]")
    return lines


def _disagreements(root: Path, place: Place, version: str) -> list[str]:
    lines = []
    for path in sorted(root.glob(place.files)):
        name = path.relative_to(root)
        text = path.read_text()
        matches = list(place.regex().finditer(text))
        if len(matches) < place.at_least:
            lines.append(f"{name}: no version where one is expected ({place.pattern!r})")
        wrong = (match for match in matches if match["version"] != version)
        lines += [f"{name}:{_line_number(match)}: {match['version']}" for match in wrong]
    return lines


def _line_number(match: re.Match[str]) -> int:
    return match.string.count("\n", 0, match.start("version")) + 1


def write(version: str, root: Path = ROOT) -> None:
    """Write a version to every file, and date the unreleased part of the changelog.

    Raises ValueError if the version is not three numbers, the only form that is valid in all five languages.
    """
    if not re.fullmatch(VERSION, version):
        raise ValueError(f"{version!r} is not a version such as 1.2.3")
    for place in PLACES:
        for path in root.glob(place.files):
            text = path.read_text()
            _rewrite(path, place.regex().sub(lambda match: _replaced(match, version), text))
    changelog = root / CHANGELOG
    heading = f"## [{version}] - {datetime.now(UTC):%Y-%m-%d}\n"
    _rewrite(changelog, changelog.read_text().replace(_UNRELEASED, heading))


def _replaced(match: re.Match[str], version: str) -> str:
    before = match.string[match.start() : match.start("version")]
    return before + version + match.string[match.end("version") : match.end()]


def _rewrite(path: Path, text: str) -> None:
    if text != path.read_text():
        path.write_text(text)


def main(arguments: list[str]) -> str | None:
    """Run the command line. Returns a message if it fails."""
    try:
        if arguments:
            write(arguments[0])
        wrong = disagreements()
    except ValueError as error:
        return str(error)
    if wrong:
        lines = "\n".join(f"  {line}" for line in wrong)
        return (
            f"The version is {current()}, but:\n{lines}\nRun make set-version VERSION={current()}."
        )
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
