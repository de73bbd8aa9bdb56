"""The Python driver of the conformance suite. clients/conformance/README.md describes its protocol."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from clients.python.conformance.driven_execution import DrivenExecution, End
from clients.python.conformance.driven_worker import DrivenWorker
from clients.python.conformance.failures import execute_all
from clients.python.conformance.values import error_form, form, full_form, message, number
from runsvc.client import OUTAGE, AsyncRunClient, RunError
from runsvc.v1.run_pb2 import CancelAction, Progress, RunSpec, RunStatus, StatusEvent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runsvc.client import AsyncWatch

    Command = dict[str, Any]
    Answer = dict[str, Any]

_STATUS: Final = RunStatus.DESCRIPTOR
_HEARTBEAT: Final = StatusEvent.STATUS_EVENT_HEARTBEAT


class Driver:
    """Runs the suite's commands with the client."""

    def __init__(self, client: AsyncRunClient) -> None:
        self._client = client
        self._watches: dict[int, AsyncWatch] = {}
        self._executions: dict[int, DrivenExecution] = {}
        self._workers: dict[int, DrivenWorker] = {}

    async def answer(self, command: Command) -> Answer:
        """Run a command and return its answer."""
        do: Callable[[Command], Awaitable[Answer]] = getattr(self, "do_" + command["cmd"])
        try:
            return {"ok": await do(command)}
        except RunError as error:
            return {"error": error_form(error)}

    async def do_hello(self, _command: Command) -> Answer:
        return {"language": "python"}

    async def do_quit(self, _command: Command) -> Answer:
        for watch in self._watches.values():
            await watch.aclose()
        await self._client.close()
        return {}

    async def do_resources(self, _command: Command) -> Answer:
        gc.collect()
        tasks, threads = len(asyncio.all_tasks()), threading.active_count()
        return {"tasks": tasks, "threads": threads, "handles": _open_handles()}

    async def do_create(self, command: Command) -> Answer:
        spec: Any = message(RunSpec, command["spec"]) if "spec" in command else None
        return full_form(await self._client.create(spec, **_given(command, "request_id")))

    async def do_create_or_reject(self, command: Command) -> Answer:
        spec: Any = message(RunSpec, command["spec"]) if "spec" in command else None
        return full_form(await self._client.create_or_reject(spec, **_given(command, "request_id")))

    async def do_get(self, command: Command) -> Answer:
        return {"run": form(await self._client.get(command.get("run_id", ""), **_given(command)))}

    async def do_list(self, command: Command) -> Answer:
        runs: list[Answer] = []
        statuses = [number(_STATUS, each) for each in command.get("statuses", ())]
        settings = _given(command, "page_size")
        pages = self._client.list_by_thread(
            command.get("thread_id", ""), statuses=statuses, **settings
        )
        async for page in pages:
            runs += map(form, page.runs)
            if len(runs) >= command.get("count", sys.maxsize):
                break
        return {"runs": runs[: command.get("count")]}

    do_list_first = do_list

    async def do_has_inflight(self, command: Command) -> Answer:
        run_ids = await self._client.has_inflight(command.get("thread_id", ""), **_given(command))
        return {"has_inflight": bool(run_ids), "run_ids": list(run_ids)}

    async def do_set_status(self, command: Command) -> Answer:
        status = number(_STATUS, command.get("status", 0))
        settings = _given(command, "error", "worker_id", "lease_ttl_ms", "result", "stop_reason")
        return full_form(
            await self._client.set_status(command.get("run_id", ""), status, **settings)
        )

    async def do_complete(self, command: Command) -> Answer:
        status = number(_STATUS, command.get("status", 0))
        settings = _given(command, "error", "worker_id", "progress", "result", "stop_reason")
        return full_form(await self._client.complete(command.get("run_id", ""), status, **settings))

    async def do_update_progress(self, command: Command) -> Answer:
        settings = _given(command, "progress", "sequence", "final", "worker_id")
        return full_form(await self._client.update_progress(command.get("run_id", ""), **settings))

    async def do_update_model_name(self, command: Command) -> Answer:
        name = command.get("model_name")
        run = await self._client.update_model_name(
            command.get("run_id", ""), name, **_given(command)
        )
        return {"run": form(run)}

    async def do_update_metadata(self, command: Command) -> Answer:
        settings = _given(command, "remove")
        return full_form(
            await self._client.update_metadata(
                command.get("run_id", ""), command.get("set"), **settings
            )
        )

    async def do_heartbeat(self, command: Command) -> Answer:
        worker_id = command.get("worker_id", "")
        run = await self._client.heartbeat(command.get("run_id", ""), worker_id, **_given(command))
        return {"run": form(run)}

    async def do_cancel(self, command: Command) -> Answer:
        settings = _given(command, "action", "note")
        return full_form(await self._client.cancel(command.get("run_id", ""), **settings))

    async def do_acknowledge_cancel(self, command: Command) -> Answer:
        settings = _given(command, "worker_id", "progress", "stop_reason")
        return full_form(
            await self._client.acknowledge_cancel(command.get("run_id", ""), **settings)
        )

    async def do_watch(self, command: Command) -> Answer:
        self._watches[command["w"]] = self._watch(command)
        return {}

    async def do_next(self, command: Command) -> Answer:
        watch = self._watches[command["w"]]
        async for event in watch:
            if event.event != _HEARTBEAT:
                return form(event)
        return {"end": True}

    async def do_unwatch(self, command: Command) -> Answer:
        await self._watches.pop(command["w"]).aclose()
        return {}

    async def do_watch_and_leave(self, command: Command) -> Answer:
        for _ in range(command["rounds"]):
            async for _event in self._watch(command):
                break
        return {}

    def _watch(self, command: Command) -> AsyncWatch:
        every = command.get("all")
        return self._client.watch(
            command.get("run_id"),
            thread_id=command.get("thread_id"),
            all_runs=every is not None,
            assistant_id=(every or {}).get("assistant_id"),
            after_revision=_whole_number(command.get("after_revision")),
            store_id=command.get("store_id", ""),
            include_progress=command.get("include_progress", False),
            attach=command.get("attach", False),
            until_acknowledged=command.get("until_acknowledged", False),
            heartbeat_interval=_seconds(command.get("heartbeat_interval_ms")),
            outage=_seconds(command.get("outage_ms")) or OUTAGE,
        )

    async def do_work(self, command: Command) -> Answer:
        execution = self._client.execute(
            command.get("run_id", ""),
            worker_id=command.get("worker_id"),
            lease_ttl=_seconds(command.get("lease_ttl_ms")),
            fence=command.get("fence", False),
        )
        driven = DrivenExecution(execution)
        run = await driven.started()
        self._executions[command["k"]] = driven
        return {"run": form(run)}

    async def do_execute_all(self, command: Command) -> Answer:
        lease_ttl, work = (command[name] / 1_000 for name in ("lease_ttl_ms", "work_ms"))
        run_ids, first = command["run_ids"], command["first"]
        await execute_all(self._client, run_ids, first, lease_ttl=lease_ttl, work=work)
        return {}

    async def do_report(self, command: Command) -> Answer:
        progress = message(Progress, command.get("progress", {}))
        return {"applied": await self._executions[command["k"]].report(progress)}

    async def do_executing(self, command: Command) -> Answer:
        return {"executing": self._executions[command["k"]].is_executing}

    async def do_finish(self, command: Command) -> Answer:
        end = _end(command)
        run = form(await self._executions.pop(command["k"]).finish(end))
        if end.throws == "panic":
            return {}
        if end.throws == "no_text":
            # It names the type of the exception.
            run.pop("error")
        return {"run": run}

    async def do_stopped(self, command: Command) -> Answer:
        execution = await self._executions.pop(command["k"]).stopped(_end(command))
        if execution.lost:
            return {"why": "lost"}
        run = form(execution.run)
        if execution.fenced:
            # Its text differs by language.
            run.pop("error")
            return {"why": "fenced", "run": run}
        return {"why": "cancelled", "run": run}

    async def do_worker(self, command: Command) -> Answer:
        options: dict[str, Any] = {
            name: command[name] for name in ("concurrency", "worker_id") if name in command
        }
        assistants = command.get("assistants", ())
        for name in ("lease_ttl", "grace"):
            if (seconds := _seconds(command.get(f"{name}_ms"))) is not None:
                options[name] = seconds
        self._workers[command["k"]] = DrivenWorker(
            self._client, assistants=assistants, any_assistant=not assistants, **options
        )
        return {}

    async def do_worker_next(self, command: Command) -> Answer:
        run = (await self._workers[command["k"]].next()).run
        return {"run": form(run), "attempt": run.attempt}

    async def do_worker_finish(self, command: Command) -> Answer:
        is_retryable = command.get("retryable", False)
        execution = await self._workers[command["k"]].finish(
            command["run_id"], _end(command), is_retryable=is_retryable
        )
        return {"run": form(execution.run)}

    async def do_worker_stopped(self, command: Command) -> Answer:
        execution = await self._workers[command["k"]].stopped(command["run_id"])
        if execution.lost:
            return {"why": "lost"}
        why = "cancelled" if execution.cancelled else "released"
        return {"why": why, "run": form(execution.run)}

    async def do_worker_stop(self, command: Command) -> Answer:
        await self._workers[command["k"]].stop()
        return {}

    async def do_worker_health(self, command: Command) -> Answer:
        return self._workers[command["k"]].health


def _end(command: Command) -> End:
    return End(
        message(Progress, command.get("progress", {})),
        command.get("error"),
        command.get("result"),
        command.get("stop_reason"),
        command.get("throws"),
    )


def _given(command: Command, *names: str) -> dict[str, Any]:
    """Return the named arguments that the command has, and its timeout, as the client expects them."""
    given = {name: command[name] for name in names if name in command}
    if "progress" in given:
        given["progress"] = message(Progress, given["progress"])
    if "action" in given:
        given["action"] = number(CancelAction.DESCRIPTOR, given["action"])
    if "sequence" in given:
        given["sequence"] = int(given["sequence"])
    if "lease_ttl_ms" in given:
        given["lease_ttl"] = _seconds(given.pop("lease_ttl_ms"))
    return given | {"timeout": _seconds(command.get("timeout_ms"))}


def _open_handles() -> int:
    """Return the number of open files and sockets. 0 without /proc."""
    handles = Path("/proc/self/fd")
    return len(list(handles.iterdir())) if handles.exists() else 0


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1_000


def _whole_number(value: int | str | None) -> int | None:
    return None if value is None else int(value)


async def main() -> None:
    """Answer the commands on standard input until its end, or until `quit`."""
    async with AsyncRunClient() as client:
        owner = os.environ.get("RUNSVC_TEST_OWNER")
        driver = Driver(client if owner is None else client.for_owner(owner))
        while line := await asyncio.to_thread(sys.stdin.readline):
            command = json.loads(line)
            print(json.dumps(await driver.answer(command)), flush=True)
            if command["cmd"] == "quit":
                break


if __name__ == "__main__":
    asyncio.run(main())
