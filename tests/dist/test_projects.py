"""Each package is installed into an empty project, where a program executes a run with it."""

from __future__ import annotations

import json
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.dist.packages import DIST, PROGRAMS, ROOT, VERSION, Venv, package, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dist.conftest import Server

pytestmark = [pytest.mark.dist, pytest.mark.timeout(1800)]

GO_MODULE = "github.com/runsvc/runsvc/clients/go"


def add_program(name: str, folder: Path) -> None:
    """Copy a program into a project."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(PROGRAMS / name, folder)


def test_python_wheel(server: Server, wheel: Venv, tmp_path: Path) -> None:
    add_program("main.py", tmp_path)
    output = run(wheel.bin / "python", "main.py", cwd=tmp_path, RUNSVC_TARGET=server.target)
    server.check(output, "python-executor")


def test_python_sdist_without_the_server(server: Server, wheel: Venv, tmp_path: Path) -> None:
    venv = Venv(tmp_path / "venv", str(package("python", f"runsvc-{VERSION}.tar.gz")))
    assert venv.files() == wheel.files()
    add_program("main.py", tmp_path)
    output = run(venv.bin / "python", "main.py", cwd=tmp_path, RUNSVC_TARGET=server.target)
    server.check(output, "python-executor")


def test_npm_package(server: Server, tmp_path: Path) -> None:
    built = package("typescript", f"runsvc-client-{VERSION}.tgz")
    tools = json.loads((ROOT / "clients/typescript/package.json").read_text())["devDependencies"]
    compiler = [f"{name}@{tools[name]}" for name in ("typescript", "@types/node")]
    run("npm", "init", "--yes", cwd=tmp_path)
    run("npm", "pkg", "set", "type=module", cwd=tmp_path)
    run("npm", "install", "--no-audit", "--no-fund", built, *compiler, cwd=tmp_path)
    add_program("main.ts", tmp_path)
    options = ("--strict", "--target", "es2022", "--module", "nodenext", "--types", "node")
    run("npx", "tsc", *options, "main.ts", cwd=tmp_path)
    output = run("node", "main.js", cwd=tmp_path, RUNSVC_TARGET=server.target)
    server.check(output, "typescript-executor")


def test_rust_crate(server: Server, tmp_path: Path) -> None:
    with tarfile.open(package("rust", f"runsvc-client-{VERSION}.crate")) as crate:
        crate.extractall(tmp_path, filter="data")
    project = tmp_path / "project"
    run("cargo", "init", "--quiet", "--vcs", "none", project, cwd=tmp_path)
    dependency = tmp_path / f"runsvc-client-{VERSION}"
    run("cargo", "add", "--quiet", "--path", dependency, cwd=project)
    run("cargo", "add", "--quiet", "tokio", "--features", "macros,rt-multi-thread", cwd=project)
    add_program("main.rs", project / "src")
    settings = {"RUNSVC_TARGET": server.target, "CARGO_PROFILE_DEV_DEBUG": "0"}
    server.check(run("cargo", "run", "--quiet", cwd=project, **settings), "rust-executor")


def test_java_artifact(server: Server, tmp_path: Path) -> None:
    release = package("java", ".")
    # Kept between tests, because Maven downloads its plugins into it; without earlier copies of the client.
    repository = ROOT / ".tools/dist/maven"
    shutil.rmtree(repository / "io/github/runsvc", ignore_errors=True)
    add_program("pom.xml", tmp_path)
    add_program("Main.java", tmp_path / "src/main/java")
    options = (
        "--quiet",
        "--batch-mode",
        "--no-transfer-progress",
        f"-Dmaven.repo.local={repository}",
        f"-Drelease={release}",
        f"-Drunsvc.version={VERSION}",
    )
    output = run("mvn", *options, "compile", "exec:java", cwd=tmp_path, RUNSVC_TARGET=server.target)
    # Maven resets the terminal's colours even where it prints none.
    server.check(output.replace("\x1b[0m", ""), "java-executor")


def test_go_module(server: Server, tmp_path: Path) -> None:
    package("go", f"{GO_MODULE}/@v/v{VERSION}.zip")
    project = tmp_path / "project"
    add_program("main.go", project)
    cache = run("go", "env", "GOMODCACHE", cwd=tmp_path).strip()
    proxy = run("go", "env", "GOPROXY", cwd=tmp_path).strip()
    settings = {
        # The release, then modules that were downloaded before, then the ordinary proxy.
        "GOPROXY": f"file://{DIST}/go,file://{cache}/cache/download,{proxy}",
        "GONOSUMDB": GO_MODULE,
        # A cache of its own, for the ordinary one may hold another build of the same version.
        "GOMODCACHE": str(tmp_path / "modules"),
        "GOFLAGS": "-modcacherw",
        "RUNSVC_TARGET": server.target,
    }
    run("go", "mod", "init", "example.com/project", cwd=project, **settings)
    run("go", "get", f"{GO_MODULE}@v{VERSION}", cwd=project, **settings)
    run("go", "mod", "tidy", cwd=project, **settings)
    server.check(run("go", "run", ".", cwd=project, **settings), "go-executor")
