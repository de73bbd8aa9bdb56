"""Runs a PostgreSQL server until the last user of a lock file is gone, also if that user was killed.

Usage: python -m tests.support.postgres_keeper USERS URL. It writes the URL of the server to the file URL. Each user
holds a shared lock of the file USERS.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tests.support.ports import free_port
from tests.support.postgres_binaries import Binaries, find, readable

if TYPE_CHECKING:
    from collections.abc import Sequence

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
}
#: Becomes another user, and then a program.
_AS_USER = """
import os, pwd, sys
user = pwd.getpwnam(sys.argv[1])
os.setgroups([])
os.setgid(user.pw_gid)
os.setuid(user.pw_uid)
os.execv(sys.argv[2], sys.argv[2:])
"""
#: Attempts with another port.
_ATTEMPTS = 5
_START = 60.0


class Server:
    """A server in a new folder."""

    def __init__(self, binaries: Binaries) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="runsvc-postgres-"))
        self._user = binaries.user
        self._bin = readable(binaries, self.folder)
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self._data = self.folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        """Create the database and start the server. Raise RuntimeError with its output if it does not start."""
        arguments = ("-D", self._data, "-U", "runsvc", "-A", "trust", "-E", "UTF8")
        self._run("initdb", *arguments, "--locale=C", "--no-sync").wait()
        for _ in range(_ATTEMPTS):
            if self._started(free_port()):
                return
        raise RuntimeError((self.folder / "output").read_text(errors="replace"))

    def stop(self) -> None:
        """Stop the server and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _started(self, port: int) -> bool:
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        self._process = self._run("postgres", "-D", self._data, "-p", str(port), *settings)
        self.url = f"postgresql://runsvc@127.0.0.1:{port}/postgres"
        end = time.monotonic() + _START
        while self._process.poll() is None and time.monotonic() < end:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        return False

    def _run(self, program: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
        environment = {"PATH": os.defpath, "LANG": "C", "HOME": str(self.folder)}
        command = [self._bin / program, *arguments]
        if self._user is not None:
            # Popen(user=…) forks in a way that a process with open gRPC channels does not survive.
            command = [sys.executable, "-c", _AS_USER, self._user, *command]
        with (self.folder / "output").open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=self.folder,
            )


def main(arguments: Sequence[str]) -> None:
    """Keep a server."""
    users, url = map(Path, arguments)
    binaries = find()
    if binaries is None:
        raise SystemExit("no PostgreSQL")
    # A Ctrl-C reaches the tests, whose end is awaited.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = Server(binaries)
    try:
        server.start()
        url.with_suffix(".new").write_text(server.url)
        url.with_suffix(".new").replace(url)
        with users.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            url.unlink()
    finally:
        server.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
