"""The environment of a scenario: its servers, its drivers, and the record of their answers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import grpc

from runsvc.v1 import admin_service_pb2
from tests.clients.driver import LIMIT, Driver
from tests.clients.transcript import Names, line
from tests.support.scripted import scripted
from tests.support.server import Client, Process, client_of, in_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from trustme import CA, LeafCert

    from tests.clients.scenario_script import ScenarioScript


class RecordedDriver:
    """A driver that records its commands and answers in the environment."""

    def __init__(self, environment: Environment, name: str, driver: Driver) -> None:
        self._environment = environment
        self._name = name
        self.driver = driver

    async def do(self, cmd: str, **arguments: Any) -> Any:
        """Execute a command. Return the value of `ok`, or the whole answer if it has none."""
        return await (await self.begin(cmd, **arguments))

    async def begin(self, cmd: str, **arguments: Any) -> Awaitable[Any]:
        """Send a command that waits for a later event. Await the returned value for the answer."""
        await self.driver.send({"cmd": cmd, **arguments})
        return self._recorded(cmd, arguments)

    async def do_unrecorded(self, cmd: str, **arguments: Any) -> Any:
        """Execute a command without recording it, because its answer varies between test runs."""
        await self.driver.send({"cmd": cmd, **arguments})
        return _content(await self.driver.answer())

    async def wait_until_reconnected(self) -> None:
        """Wait until the client has reconnected to the server. Before that, calls without retries may fail."""

        async def found() -> bool:
            return "error" not in await self.do_unrecorded("has_inflight", thread_id="any")

        await until(found)

    async def _recorded(self, cmd: str, arguments: dict[str, Any]) -> Any:
        answer = await self.driver.answer()
        if answer == {"unsupported": True}:
            raise Unsupported(cmd)
        normalize = self._environment.names.normalize
        self._environment.record(**{self._name: cmd}, **normalize(arguments), **normalize(answer))
        return _content(answer)


class Unsupported(Exception):
    """The language's client does not support the command."""


def _content(answer: dict[str, Any]) -> Any:
    return answer.get("ok", answer)


class Environment(AsyncExitStack):
    """The environment of one scenario. Leaving it stops everything that it started."""

    def __init__(self, scenario: str, languages: list[str], folder: Path) -> None:
        super().__init__()
        self.names = Names()
        self.lines: list[str] = []
        self.db = folder / "runs.db"
        self._scenario = scenario
        self._languages = languages
        self._folder = folder
        self._target = ""
        self._numbers = count()

    def record(self, **fields: Any) -> None:
        """Add a step to the record."""
        self.lines.append(line(self._scenario, **fields))

    async def serve(self, **settings: Any) -> Client:
        """Start a server in this process with its own store. Drivers started later use it."""
        client = await self.enter_async_context(in_process(self.db, **settings))
        self.push_async_callback(_wait_until_unwatched, client)
        await self._use(client)
        return client

    async def serve_callers(self, **settings: Any) -> None:
        """Start a server in this process that refuses calls of the suite itself, which has no credential."""
        client = await self.enter_async_context(in_process(self.db, **settings))
        self._target = client.address

    async def serve_process(self, *arguments: str) -> Process:
        """Start a server as a process, which can be killed and restarted at the same address."""
        process = await self.enter_async_context(Process(self.db, *arguments))
        process.arguments = (*arguments, "--listen", process.address)
        await self._use(await self.enter_async_context(client_of(process.address)))
        return process

    async def serve_script(
        self,
        script: ScenarioScript,
        certificate: LeafCert | None = None,
        options: tuple[tuple[str, int], ...] = (),
        clients: CA | None = None,
    ) -> None:
        """Start a server that plays the script.

        With a certificate, it accepts encrypted connections; with an authority, of its clients only.
        """
        self._target = self.enter_context(
            scripted(script, server_credentials(certificate, clients), options=options)
        )

    @property
    def folder(self) -> Path:
        """The folder of this scenario."""
        return self._folder

    def path(self, name: str) -> str:
        """Return the path of a file of this scenario."""
        return str(self._folder / name)

    def file(self, name: str, authority: CA) -> str:
        """Write an authority's certificate to a file and return its path."""
        authority.cert_pem.write_to_path(self.path(name))
        return self.path(name)

    @asynccontextmanager
    async def part(self) -> AsyncIterator[Environment]:
        """A part of the scenario with its own servers and drivers, on the same store and record."""
        async with Environment(self._scenario, self._languages, self._folder) as part:
            part.names, part.lines, part._numbers = self.names, self.lines, self._numbers
            yield part

    async def driver(self, name: str = "a", **environment: str) -> RecordedDriver:
        """Start a driver of the scenario's language."""
        return await self._start_driver(name, self._languages[0], environment)

    async def other_driver(self, name: str = "b") -> RecordedDriver:
        """Start a driver of another language, or of the same one if only one is tested."""
        return await self._start_driver(name, self._languages[-1], {})

    async def _start_driver(
        self, name: str, language: str, environment: dict[str, str]
    ) -> RecordedDriver:
        log = self._folder / f"{language}-{next(self._numbers)}.log"
        environment = {"RUNSVC_TARGET": self._target, **environment}
        driver = await self.enter_async_context(Driver(language, environment, log))
        return RecordedDriver(self, name, driver)

    async def _use(self, client: Client) -> None:
        self._target = client.address
        info = await client.admin.GetServerInfo(admin_service_pb2.GetServerInfoRequest())
        self.names.add_store(info.store_id)


def server_credentials(
    certificate: LeafCert | None, clients: CA | None
) -> grpc.ServerCredentials | None:
    """The credentials of a server with this certificate, for clients of this authority only if it is given."""
    if certificate is None:
        return None
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    return grpc.ssl_server_credentials(
        [(certificate.private_key_pem.bytes(), chain)],
        root_certificates=None if clients is None else clients.cert_pem.bytes(),
        require_client_auth=clients is not None,
    )


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the condition is true."""
    async with asyncio.timeout(LIMIT):
        while not await condition():  # noqa: ASYNC110
            # The condition depends on another process, so it is polled.
            await asyncio.sleep(0.02)


async def watchers(client: Client) -> int:
    """The number of open streams on the server."""
    info = await client.admin.GetServerInfo(admin_service_pb2.GetServerInfoRequest())
    return info.watchers


async def _wait_until_unwatched(client: Client) -> None:
    """Check that drivers that have ended leave no stream open."""

    async def none() -> bool:
        return await watchers(client) == 0

    await until(none)
