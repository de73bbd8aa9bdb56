"""`runsvc work`: its arguments, and the command that it runs for each run."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import grpc
import pytest

from runsvc.cli.work_command import CommandError, TemporaryError, WorkCommand
from runsvc.cli.work_output import WorkOutput
from runsvc.client import RetryableError
from runsvc.v1.run_pb2 import Run
from tests.support.scripted import Refusal
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from runsvc.client import AsyncExecution
    from tests.unit.cli.conftest import Cli

RUN: Final = Run(
    run_id="r1",
    thread_id="t1",
    assistant_id="echo",
    attempt=2,
    fencing_token=70,
    kwargs={"input": "☃", "count": 3},
)


@dataclass
class Claimed:
    """The part of an execution that a command needs."""

    run: Run = field(default_factory=lambda: RUN)
    worker_id: str = "w1"


async def perform(*command: str, kill_after: float = 10, result_file: bool = False) -> Any:
    shown = WorkOutput()
    work = WorkCommand(command, kill_after, "host:1", shown, result_file=result_file)
    try:
        return await work(cast("AsyncExecution", Claimed()))
    finally:
        shown.close()


async def python(code: str, **settings: Any) -> Any:
    return await perform(sys.executable, "-c", code, **settings)


async def shell(code: str, **settings: Any) -> Any:
    return await perform("sh", "-c", code, **settings)


def test_refused_assistant_is_named_as_the_argument(cli: Cli) -> None:
    code, violation = grpc.StatusCode.INVALID_ARGUMENT, ("assistant_ids[0]", "is wrong")
    cli.script.will("Claim", Refusal(code, "no", "INVALID_REQUEST", violations=(violation,)))
    result = cli("work", "bad id", "--", "true")
    assert result.exit_code == 2
    assert "ASSISTANT is wrong" in result.stderr


async def test_command_receives_the_input_as_json() -> None:
    assert await perform("cat") == {"input": "☃", "count": 3}
    assert await shell("read line; echo $line | wc -l") == {"output": "1"}


async def test_command_need_not_read_its_input() -> None:
    large = Run(run_id="r1", kwargs={"input": "x" * 900_000})
    work = WorkCommand(["true"], 10, "", WorkOutput(), result_file=False)
    assert await work(cast("AsyncExecution", Claimed(large))) is None


async def test_command_knows_its_run() -> None:
    facts = await python("import json, os; print(json.dumps(dict(os.environ)))")
    assert {name: value for name, value in facts.items() if name.startswith("RUNSVC_")} == {
        **{name: value for name, value in os.environ.items() if name.startswith("RUNSVC_")},
        "RUNSVC_TARGET": "host:1",
        "RUNSVC_RUN_ID": "r1",
        "RUNSVC_THREAD_ID": "t1",
        "RUNSVC_ASSISTANT_ID": "echo",
        "RUNSVC_WORKER_ID": "w1",
        "RUNSVC_ATTEMPT": "2",
        "RUNSVC_FENCING_TOKEN": "70",
    }


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("echo one; echo two", {"output": "two"}),
        ("echo two; echo; echo '  '", {"output": "two"}),
        ("printf two", {"output": "two"}),
        ('echo "{\\"a\\": [1]}"', {"a": [1]}),
        ("echo '[1]'", {"output": "[1]"}),
        ("echo '{'", {"output": "{"}),
        ("echo no >&2", None),
        ("printf '\\377'", {"output": "\ufffd"}),
    ],
)
async def test_last_line_is_the_result(code: str, result: dict[str, Any] | None) -> None:
    assert await shell(code) == result


async def test_long_line_is_a_result() -> None:
    code = "import json; print(json.dumps({'a': 'x' * 1_000_000}))"
    assert len((await python(code))["a"]) == 1_000_000


async def test_result_file() -> None:
    write = 'printf \'{"a": 1}\' > "$RUNSVC_RESULT_FILE"; echo ignored'
    assert await shell(write, result_file=True) == {"a": 1}
    assert await shell('echo text > "$RUNSVC_RESULT_FILE"', result_file=True) == {"output": "text"}
    assert await shell("echo ignored", result_file=True) is None


async def test_output_is_shown_with_the_run(capfd: pytest.CaptureFixture[str]) -> None:
    await shell("echo out; printf err >&2")
    shown = capfd.readouterr()
    assert sorted(shown.err.splitlines()) == ["r1 | err", "r1 | out"]
    assert shown.out == ""


async def test_exit_code_is_the_outcome() -> None:
    with pytest.raises(CommandError) as failure:
        await shell("echo one >&2; echo no such tool >&2; exit 3")
    assert str(failure.value) == "The command exited with code 3: one\nno such tool"
    assert not isinstance(failure.value, RetryableError)
    with pytest.raises(CommandError, match=r"^The command exited with code 1\.$"):
        await perform("false")
    with pytest.raises(CommandError, match=r"^The command was ended by SIGKILL\.$"):
        await shell("kill -9 $$")


async def test_error_text_is_the_end_of_the_output() -> None:
    with pytest.raises(CommandError) as failure:
        await python("import sys; print('x' * 9_000 + 'end', file=sys.stderr); sys.exit(1)")
    assert str(failure.value).endswith("xend")
    assert len(str(failure.value)) < 5_000


async def test_temporary_failure_is_retryable() -> None:
    with pytest.raises(TemporaryError, match="75"):
        await shell("exit 75")
    assert issubclass(TemporaryError, RetryableError)


async def test_processes_that_are_left_behind_end_with_the_command() -> None:
    pid = int((await shell("sleep 1000 & echo $!"))["output"])
    await until(lambda: not _is_running(pid))


STOPPABLE: Final = (
    "trap 'echo $$ > {0}; exit 0' TERM; echo $$ > {0}.begun; while :; do sleep 0.05; done"
)
DEAF: Final = "trap '' TERM; echo $$ > {0}.begun; while :; do sleep 0.05; done"


@pytest.mark.parametrize(("code", "ends_itself"), [(STOPPABLE, True), (DEAF, False)])
async def test_stop_ends_the_command(tmp_path: Path, code: str, ends_itself: bool) -> None:
    file = tmp_path / "file"
    begun = tmp_path / "file.begun"
    work = asyncio.create_task(shell(code.format(file), kill_after=60 if ends_itself else 0.1))
    await until(lambda: begun.exists() and begun.read_text())
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert file.exists() == ends_itself
    assert not _is_running(int(begun.read_text()))


async def test_command_that_cannot_be_started_fails() -> None:
    large = Run(run_id="r1", thread_id="t" * 200_000)
    work = WorkCommand(["true"], 10, "", WorkOutput(), result_file=False)
    with pytest.raises(OSError, match="too long"):
        await work(cast("AsyncExecution", Claimed(large)))
    stopped = asyncio.create_task(work(cast("AsyncExecution", Claimed(large))))
    await asyncio.sleep(0)
    stopped.cancel()
    with pytest.raises((asyncio.CancelledError, OSError)):
        await stopped


async def test_command_that_is_deaf_is_killed_in_a_hurry(tmp_path: Path) -> None:
    begun = tmp_path / "file.begun"
    work = WorkCommand(
        ["sh", "-c", DEAF.format(tmp_path / "file")], 600, "", WorkOutput(), result_file=False
    )
    running = asyncio.create_task(work(cast("AsyncExecution", Claimed())))
    await until(lambda: begun.exists() and begun.read_text())
    running.cancel()
    await asyncio.sleep(0)
    work.hurry.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not _is_running(int(begun.read_text()))


def _is_running(pid: int) -> bool:
    """Return whether a process runs. A zombie does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["echo"], "Write the command behind --, as in: runsvc work echo -- cat"),
        (["echo", "--"], "Write the command behind --"),
        (["--", "cat"], "Name one or more assistants, or --any-assistant."),
        (["echo", "--any-assistant", "--", "cat"], "not both"),
        (["echo", "--", "no-such-program"], "'no-such-program' is not found or not executable"),
        (["echo", "--lease", "0.5", "--", "cat"], "Set it to 1 to 3600 seconds"),
        ([*"abcdefghijklmnopq", "--", "cat"], "assistants has 17 names"),
    ],
)
def test_usage(cli: Cli, arguments: list[str], text: str) -> None:
    result = cli("work", *arguments)
    assert result.exit_code == 2
    assert text in " ".join(result.stderr.split())


def test_words_behind_the_dashes_are_the_command(cli: Cli) -> None:
    result = cli("work", "--", "cat", "--any-assistant")
    assert "Name one or more assistants" in result.stderr


def test_refused_worker_ends(cli: Cli) -> None:
    refusal = Refusal(grpc.StatusCode.PERMISSION_DENIED, "not a worker", "PERMISSION_DENIED")
    cli.script.will("Claim", refusal)
    result = cli("work", "echo", "--worker-id", "w1", "--", "cat")
    assert result.exit_code == 1
    assert "Worker w1 claims runs of echo." in result.stderr
    assert "not a worker" in result.stderr
