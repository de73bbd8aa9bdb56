"""A server that answers what a test says, and a way to run commands against it."""

from __future__ import annotations

from concurrent import futures
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from click.testing import CliRunner
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from rich.console import Console

from runsvc.cli import main
from runsvc.v1 import admin_service_pb2_grpc, run_service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result


@dataclass(frozen=True)
class Refusal:
    """A failure to answer with."""

    code: grpc.StatusCode
    message: str = ""
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    violations: tuple[tuple[str, str], ...] = ()
    retry: int = 0

    def abort(self, context: Any) -> None:
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        details: list[Any] = []
        if self.reason:
            details.append(
                error_details_pb2.ErrorInfo(
                    reason=self.reason, domain="runsvc", metadata=self.metadata
                )
            )
        if self.violations:
            details.append(error_details_pb2.BadRequest())
            for name, description in self.violations:
                details[-1].field_violations.add(field=name, description=description)
        if self.retry:
            details.append(error_details_pb2.RetryInfo())
            details[-1].retry_delay.seconds = self.retry
        for detail in details:
            status.details.add().Pack(detail)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(self.code, self.message)


class Script:
    """Answers by method, one after the other; keeps what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[Any] = []

    def will(self, method: str, *answers: Any) -> None:
        self.answers.setdefault(method, []).extend(answers)

    def unary(self, method: str, request: Any, context: Any) -> Any:
        self.asked.append(request)
        answer = self.answers[method].pop(0)
        if isinstance(answer, Refusal):
            answer.abort(context)
        return answer

    def stream(self, method: str, request: Any, context: Any) -> Iterator[Any]:
        self.asked.append(request)
        for answer in self.answers[method]:
            if isinstance(answer, Refusal):
                answer.abort(context)
            yield answer


def servicer(base: type, script: Script) -> Any:
    def scripted(method: str) -> Any:
        play = script.stream if method == "StreamStatus" else script.unary
        return lambda self, request, context: play(method, request, context)

    methods = [name for name in vars(base) if name[0].isupper()]
    return type("Scripted", (base,), {name: scripted(name) for name in methods})()


@dataclass
class Cli:
    """The command line with a scripted server behind it."""

    script: Script
    target: str

    def __call__(self, *arguments: str, env: dict[str, str] | None = None) -> Result:
        settings = {"RUNSVC_TARGET": self.target, **(env or {})}
        return CliRunner().invoke(main, arguments, env=settings, prog_name="runsvc")

    @property
    def asked(self) -> Any:
        return self.script.asked[-1]


def lines_of(shown: Any, width: int = 80, height: int = 24) -> list[str]:
    """What a terminal of that size shows of it."""
    console = Console(width=width, height=height, markup=False)
    rows = console.render_lines(shown, pad=False)
    return ["".join(part.text for part in row).rstrip() for row in rows]


@pytest.fixture(autouse=True)
def _called_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["runsvc"])


@pytest.fixture
def cli() -> Iterator[Cli]:
    script = Script()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    run_service_pb2_grpc.add_RunServiceServicer_to_server(
        servicer(run_service_pb2_grpc.RunServiceServicer, script), server
    )
    admin_service_pb2_grpc.add_AdminServiceServicer_to_server(
        servicer(admin_service_pb2_grpc.AdminServiceServicer, script), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield Cli(script, f"127.0.0.1:{port}")
    server.stop(None).wait()
