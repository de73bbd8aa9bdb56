"""Which files each package holds."""

from __future__ import annotations

import re
import tarfile
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from tests.dist.packages import ROOT, VERSION, WHEEL, package

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.dist

JAVA = f"io/github/runsvc/runsvc-client/{VERSION}"
GO = "github.com/runsvc/runsvc/clients/go"


def names_in_zip(path: Path) -> set[str]:
    """The names of a zip file's or jar's files."""
    with ZipFile(path) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def names_in_tar(path: Path) -> set[str]:
    """The names of a tarball's files, below its only folder."""
    with tarfile.open(path) as archive:
        return {member.name.partition("/")[2] for member in archive if member.isfile()}


def source_files(folder: str) -> set[str]:
    """The names of a folder's files, from the root of the repository."""
    return {
        str(path.relative_to(ROOT))
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_wheel_holds_the_package_and_nothing_else() -> None:
    built = package("python", WHEEL)
    metadata = f"runsvc-{VERSION}.dist-info/"
    code = {name for name in names_in_zip(built) if not name.startswith(metadata)}
    assert code == source_files("runsvc")
    # Guards the comparison: these are what a wrong build would leave out.
    assert {"runsvc/py.typed", "runsvc/v1/run_pb2.py", "runsvc/v1/run_pb2.pyi"} <= code
    assert "runsvc/store/migrations/sqlite/0001_initial.sql" in code
    assert f"{metadata}licenses/LICENSE" in names_in_zip(built)


def test_package_index_shows_a_readme_without_relative_links() -> None:
    with ZipFile(package("python", WHEEL)) as archive:
        metadata = archive.read(f"runsvc-{VERSION}.dist-info/METADATA").decode()
    links = re.findall(r"\]\(([^)]+)\)", metadata)
    assert "https://github.com/runsvc/runsvc/blob/main/docs/operations.md" in links
    assert [link for link in links if not link.startswith("https://")] == []


def test_wheel_holds_the_code_of_this_folder() -> None:
    with ZipFile(package("python", WHEEL)) as archive:
        for name in source_files("runsvc"):
            assert archive.read(name) == (ROOT / name).read_bytes(), name


def test_sdist_holds_the_sources_and_their_tests() -> None:
    names = names_in_tar(package("python", f"runsvc-{VERSION}.tar.gz"))
    assert source_files("runsvc") <= names
    assert {"LICENSE", "README.md", "Makefile", "tests/dist/test_contents.py"} <= names
    assert {"release/version.py", "clients/clients.mk", "docs/releasing.md"} <= names
    assert not {name for name in names if "node_modules" in name or "/target/" in name}


def test_npm_package_holds_code_and_types() -> None:
    names = names_in_tar(package("typescript", f"runsvc-client-{VERSION}.tgz"))
    assert {"LICENSE", "README.md", "package.json"} <= names
    assert {"dist/src/index.js", "dist/src/index.d.ts", "dist/src/v1.d.ts"} <= names
    others = names - {"LICENSE", "README.md", "package.json"}
    assert {name for name in others if not name.startswith(("dist/src/", "src/"))} == set()


def test_rust_crate_holds_code_and_examples() -> None:
    names = names_in_tar(package("rust", f"runsvc-client-{VERSION}.crate"))
    assert {"Cargo.toml", "LICENSE", "README.md", "src/lib.rs", "src/v1/runsvc.v1.rs"} <= names
    assert not {name for name in names if name.startswith(("conformance/", "target/"))}


def test_java_artifact_has_classes_sources_and_documentation() -> None:
    folder = package("java", JAVA)
    jar = folder / f"runsvc-client-{VERSION}.jar"
    assert {
        "io/github/runsvc/client/RunClient.class",
        "io/github/runsvc/v1/Run.class",
    } <= names_in_zip(jar)
    assert not {name for name in names_in_zip(jar) if "Test" in name or "conformance" in name}
    sources = names_in_zip(folder / f"runsvc-client-{VERSION}-sources.jar")
    assert "io/github/runsvc/client/RunClient.java" in sources
    javadoc = names_in_zip(folder / f"runsvc-client-{VERSION}-javadoc.jar")
    assert "io.github.runsvc.client/io/github/runsvc/client/RunClient.html" in javadoc
    assert (folder / f"runsvc-client-{VERSION}.pom.sha1").exists()


def test_go_module_holds_code_and_license() -> None:
    folder = package("go", f"{GO}/@v")
    names = names_in_zip(folder / f"v{VERSION}.zip")
    root = f"{GO}@v{VERSION}"
    assert {f"{root}/LICENSE", f"{root}/go.mod", f"{root}/client.go"} <= names
    assert f"{root}/runsvc/v1/run.pb.go" in names
    assert (folder / f"v{VERSION}.mod").read_bytes() == (ROOT / "clients/go/go.mod").read_bytes()
