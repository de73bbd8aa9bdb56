"""A chat gateway over HTTP: python clients/python/examples/gateway.py [port]

curl -N http://127.0.0.1:8080/alice/chat-1 -d "what is a run"

Each message is a run of assistant "echo" on the user's thread. While the thread is busy, messages wait in their order.
The answer is streamed, one line per change. A user who leaves cancels the run.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from runsvc.client import AsyncRunClient, AsyncWatch, RunError
from runsvc.v1.run_pb2 import MultitaskStrategy, RunSpec, RunStatus

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

    from runsvc.v1.run_pb2 import Run

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
LARGEST = 64 << 10


async def request_of(reader: StreamReader) -> tuple[str, str, str]:
    """Return user, thread and message of a request. Raise ValueError for another request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    method, path, *_ = head.split(" ")
    _, user, thread = path.split("/")
    headers = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
    length = int(headers.get("content-length", 0))
    if method != "POST" or not 0 < length <= LARGEST:
        raise ValueError("POST a message to /USER/THREAD")
    return user, thread, (await reader.readexactly(length)).decode()


def line_of(run: Run) -> str:
    """Return what a user reads: the status of the run, and its answer so far."""
    status = RunStatus.Name(run.status).removeprefix("RUN_STATUS_").lower()
    return f"{status} {run.error or run.progress.last_ai_message}".strip()


async def leave(reader: StreamReader, events: AsyncWatch) -> None:
    """End the watch when the user has left: nothing else ends the input."""
    await reader.read()
    await events.aclose()


async def answer(client: AsyncRunClient, reader: StreamReader, writer: StreamWriter) -> None:
    """Create the run of one request, and stream its changes."""
    user, thread, message = await request_of(reader)
    users_client = client.for_owner(user)
    spec = RunSpec(
        thread_id=thread,
        assistant_id="echo",
        kwargs={"input": message},
        multitask_strategy=MultitaskStrategy.MULTITASK_STRATEGY_ENQUEUE,
    )
    created = await users_client.create_or_reject(spec, request_id=str(uuid4()))
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n")
    async with users_client.watch(created.run.run_id, include_progress=True, attach=True) as events:
        leaving = asyncio.create_task(leave(reader, events))
        async for event in events:
            if event.HasField("run"):
                writer.write(f"{line_of(event.run)}\n".encode())
                await writer.drain()
        leaving.cancel()


async def main() -> None:
    """Serve until Ctrl-C."""
    async with AsyncRunClient() as client:

        async def serve(reader: StreamReader, writer: StreamWriter) -> None:
            try:
                await answer(client, reader, writer)
            except (ValueError, RunError, asyncio.IncompleteReadError) as error:
                writer.write(f"HTTP/1.1 400 Bad Request\r\n\r\n{error}\n".encode())
            except ConnectionError:
                pass  # The user has left.
            finally:
                with suppress(ConnectionError):
                    writer.close()
                    await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", PORT)
        port = server.sockets[0].getsockname()[1]
        print(f"the gateway listens on http://127.0.0.1:{port}", flush=True)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
