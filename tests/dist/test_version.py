"""The version of a release: found, compared and written."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from release import version

if TYPE_CHECKING:
    from pathlib import Path

README = "clients/java/README.md"
INSTALL = """\
A store of runsvc 0.1.0 is upgraded.
  <artifactId>runsvc-client</artifactId>
  <version>1.0.0</version>
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of every file that names the version."""
    for place in (*version.PLACES, version.Place(version.CHANGELOG, "")):
        for path in version.ROOT.glob(place.files):
            copy = tmp_path / path.relative_to(version.ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    return tmp_path


def test_every_file_of_the_repository_names_the_same_version() -> None:
    assert version.disagreements() == []


def test_a_written_version_is_in_every_file(root: Path) -> None:
    version.write("12.0.3", root)
    assert version.current(root) == "12.0.3"
    for place in version.PLACES:
        for path in root.glob(place.files):
            found = [match["version"] for match in place.regex().finditer(path.read_text())]
            assert len(found) >= place.at_least
            assert set(found) <= {"12.0.3"}


def test_a_written_version_dates_the_unreleased_changes(root: Path) -> None:
    changelog = root / version.CHANGELOG
    changelog.write_text(
        "# Changelog\n\n## [Unreleased]\n\n- A change.\n\n## [0.1.0] - 2026-11-24\n"
    )
    version.write("12.0.3", root)
    lines = changelog.read_text().splitlines()
    assert lines[2].startswith("## [12.0.3] - 20")
    assert lines[6] == "## [0.1.0] - 2026-11-24"
    assert version.disagreements(root) == []


def test_another_version_is_reported_with_its_file_and_line(root: Path) -> None:
    (root / README).write_text(INSTALL)
    assert version.disagreements(root) == [f"{README}:3: 1.0.0"]


def test_a_page_keeps_other_version_numbers(root: Path) -> None:
    (root / README).write_text(INSTALL)
    version.write("12.0.3", root)
    assert (root / README).read_text() == INSTALL.replace("1.0.0", "12.0.3")


def test_a_manifest_without_a_version_is_reported(root: Path) -> None:
    (root / "clients/rust/Cargo.toml").write_text('name = "runsvc-client"\n')
    (line,) = version.disagreements(root)
    assert line.startswith("clients/rust/Cargo.toml: no version where one is expected")


def test_a_changelog_without_the_version_is_reported(root: Path) -> None:
    (root / version.CHANGELOG).write_text("# Changelog\n\n## [Unreleased]\n")
    wanted = f"CHANGELOG.md: no heading ## [{version.current(root)}]"
    assert version.disagreements(root) == [wanted]


@pytest.mark.parametrize("text", ["1.2", "v1.2.3", "1.2.3rc1", "1.2.3-beta.1", "", "1.2.3\n"])
def test_only_three_numbers_are_a_version(root: Path, text: str) -> None:
    with pytest.raises(ValueError, match="is not a version such as"):
        version.write(text, root)
    assert version.disagreements(root) == []


def test_a_package_without_a_version_is_an_error(root: Path) -> None:
    (root / "runsvc/__init__.py").write_text('"""No version."""\n')
    with pytest.raises(ValueError, match="no line __version__"):
        version.current(root)
