"""Where a scenario takes place: its servers, its drivers, and the record of what they answer."""

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

    from tests.clients.programmed import Programme


class Actor:
    """A driver on a stage: what it is told and what it answers is written down."""

    def __init__(self, stage: Stage, name: str, driver: Driver) -> None:
        self._stage = stage
        self._name = name
        self.driver = driver

    async def do(self, cmd: str, **arguments: Any) -> Any:
        """A command's answer: what is under `ok`, or the whole answer otherwise."""
        return await (await self.begin(cmd, **arguments))

    async def begin(self, cmd: str, **arguments: Any) -> Awaitable[Any]:
        """A command that waits for something that is still to happen; await what this returns for its answer."""
        await self.driver.send({"cmd": cmd, **arguments})
        return self._recorded(cmd, arguments)

    async def ask(self, cmd: str, **arguments: Any) -> Any:
        """As `do`, for what is not the same in every run: it is not written down."""
        await self.driver.send({"cmd": cmd, **arguments})
        return _content(await self.driver.answer())

    async def reconnected(self) -> None:
        """Wait until its client has found the server again; until then calls that are not repeated may fail."""

        async def found() -> bool:
            return "error" not in await self.ask("has_inflight", thread_id="any")

        await until(found)

    async def _recorded(self, cmd: str, arguments: dict[str, Any]) -> Any:
        answer = await self.driver.answer()
        if answer == {"unsupported": True}:
            raise Unsupported(cmd)
        plain = self._stage.names.plain
        self._stage.record(**{self._name: cmd}, **plain(arguments), **plain(answer))
        return _content(answer)


class Unsupported(Exception):
    """The language's client does not have what the scenario is about."""


def _content(answer: dict[str, Any]) -> Any:
    return answer.get("ok", answer)


class Stage(AsyncExitStack):
    """One scenario's. What was started on it ends with it."""

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

    def record(self, **told: Any) -> None:
        """Write down a step."""
        self.lines.append(line(self._scenario, **told))

    async def serve(self, **settings: Any) -> Client:
        """A server in this process with a store of its own; drivers started from now on call it."""
        client = await self.enter_async_context(in_process(self.db, **settings))
        self.push_async_callback(_unwatched, client)
        await self._calls(client)
        return client

    async def serve_process(self, *arguments: str) -> Process:
        """A server as a process of its own, which may be killed and started again at the same address."""
        process = await self.enter_async_context(Process(self.db, *arguments))
        process.arguments = (*arguments, "--listen", process.address)
        await self._calls(await self.enter_async_context(client_of(process.address)))
        return process

    async def program(
        self,
        programme: Programme,
        certificate: LeafCert | None = None,
        options: tuple[tuple[str, int], ...] = (),
    ) -> None:
        """A server that answers as written; with a certificate over an encrypted connection."""
        self._target = self.enter_context(
            scripted(programme, _credentials(certificate), options=options)
        )

    def file(self, name: str, authority: CA) -> str:
        """The path of a file that holds an authority's certificate."""
        path = self._folder / name
        path.write_bytes(authority.cert_pem.bytes())
        return str(path)

    @asynccontextmanager
    async def interlude(self) -> AsyncIterator[Stage]:
        """A part with servers and drivers of its own, on the same store and in the same record."""
        async with Stage(self._scenario, self._languages, self._folder) as part:
            part.names, part.lines, part._numbers = self.names, self.lines, self._numbers
            yield part

    async def driver(self, name: str = "a", **environment: str) -> Actor:
        """A driver of the scenario's language."""
        return await self._actor(name, self._languages[0], environment)

    async def other(self, name: str = "b") -> Actor:
        """A driver of another language, or of the same one when it is the only one here."""
        return await self._actor(name, self._languages[-1], {})

    async def _actor(self, name: str, language: str, environment: dict[str, str]) -> Actor:
        log = self._folder / f"{language}-{next(self._numbers)}.log"
        environment = {"RUNSVC_TARGET": self._target, **environment}
        driver = await self.enter_async_context(Driver(language, environment, log))
        return Actor(self, name, driver)

    async def _calls(self, client: Client) -> None:
        self._target = client.address
        told = await client.admin.GetServerInfo(admin_service_pb2.GetServerInfoRequest())
        self.names.store(told.store_id)


def _credentials(certificate: LeafCert | None) -> grpc.ServerCredentials | None:
    if certificate is None:
        return None
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    return grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain)])


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(LIMIT):
        while not await condition():  # noqa: ASYNC110
            # Another process has no event to wait for.
            await asyncio.sleep(0.02)


async def watchers(client: Client) -> int:
    """How many streams are open on the server."""
    info = await client.admin.GetServerInfo(admin_service_pb2.GetServerInfoRequest())
    return info.watchers


async def _unwatched(client: Client) -> None:
    """Drivers that are gone leave no stream behind."""

    async def none() -> bool:
        return await watchers(client) == 0

    await until(none)
