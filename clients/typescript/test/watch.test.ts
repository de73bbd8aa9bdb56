import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { ConnectError } from "@connectrpc/connect";
import { Code, RunError, RunStatus, StatusEvent, UnavailableError, type Watch } from "@runsvc/client";
import type { StreamStatusRequest } from "@runsvc/client/v1";
import { type Answers, clientOf, refusal, withDetail } from "./support/server.js";

const change = (revision: bigint) => ({ event: StatusEvent.CHANGED, revision, run: { runId: "run-1" } });
const idle = (signal: AbortSignal) => (signal.aborted ? Promise.resolve() : once(signal, "abort"));

/** A server with a list of streams: each sends its events and then calls `last`. */
function streams(...made: { events: object[]; last?: (signal: AbortSignal) => unknown }[]) {
  const requests: StreamStatusRequest[] = [];
  const answers: Answers = {
    async *streamStatus(request, { signal }) {
      const { events, last } = made[requests.length] ?? { events: [] };
      requests.push(request);
      yield* events;
      await last?.(signal);
    },
  };
  return { answers, requests };
}

async function revisionsOf(watch: AsyncIterable<{ revision: bigint }>): Promise<bigint[]> {
  const revisions: bigint[] = [];
  for await (const { revision } of watch) revisions.push(revision);
  return revisions;
}

const fail = (error: unknown) => () => {
  throw error;
};

test("a watch ends when the server ends it", async (test) => {
  const { answers, requests } = streams({ events: [change(1n), change(2n)] });
  const { client } = await clientOf(test, answers);
  assert.deepEqual(await revisionsOf(client.watch({ runId: "run-1" })), [1n, 2n]);
  assert.equal(requests.length, 1);
});

const overloaded = withDetail(refusal(Code.ResourceExhausted, "OVERLOADED"), "RetryInfo", new Uint8Array());
const lostConnections = {
  UNAVAILABLE: refusal(Code.Unavailable, "SERVER_DRAINING"),
  "INTERNAL without a reason": new ConnectError("lost", Code.Internal),
  OVERLOADED: overloaded,
  "CANCELLED with a request id": new ConnectError("stopping", Code.Canceled, { "x-request-id": "q" }),
  "CANCELLED without a reason": new ConnectError("lost", Code.Canceled),
};
for (const [name, error] of Object.entries(lostConnections)) {
  test(`a watch resumes after ${name}`, async (test) => {
    const { answers, requests } = streams(
      { events: [change(1n)], last: fail(error) },
      { events: [change(2n)] },
    );
    const { client } = await clientOf(test, answers);
    assert.deepEqual(await revisionsOf(client.watch({ runId: "run-1" })), [1n, 2n]);
    assert.equal(requests[1]?.afterRevision, 1n);
  });
}

/** Cut the connection after every event for which `isLast` is true. Returns the number of events. */
async function watchCut(
  watch: Watch,
  cut: () => void,
  isLast: (event: StatusEvent) => boolean,
): Promise<number> {
  let events = 0;
  for await (const { event } of watch) {
    events += 1;
    if (isLast(event)) cut();
  }
  return events;
}

test("a watch resumes from its position after a lost connection", async (test) => {
  const snapshot = { event: StatusEvent.SNAPSHOT, run: { runId: "run-1" } };
  const snapshotEnd = { event: StatusEvent.SNAPSHOT_END, revision: 0n, storeId: "store-1" };
  const { answers, requests } = streams(
    { events: [snapshot, snapshotEnd], last: idle },
    { events: [change(7n), { event: StatusEvent.PROGRESS }], last: idle },
    { events: [] },
  );
  const { client, cut } = await clientOf(test, answers);
  const lasts: StatusEvent[] = [StatusEvent.SNAPSHOT_END, StatusEvent.PROGRESS];
  await watchCut(client.watch({ threadId: "thread-1" }), cut, (event) => lasts.includes(event));
  const positions = requests.map(({ afterRevision, storeId }) => [afterRevision, storeId]);
  assert.deepEqual(positions, [
    [undefined, ""],
    [0n, "store-1"],
    [7n, "store-1"],
  ]);
});

test("an interrupted snapshot is sent again", async (test) => {
  const snapshot = { event: StatusEvent.SNAPSHOT, run: { runId: "run-1" } };
  const end = { event: StatusEvent.SNAPSHOT_END, revision: 1n };
  const { answers, requests } = streams({ events: [snapshot], last: idle }, { events: [snapshot, end] });
  const { client, cut } = await clientOf(test, answers);
  let cuts = 0;
  assert.equal(await watchCut(client.watch({ all: {} }), cut, () => cuts++ === 0), 3);
  assert.equal(requests[1]?.afterRevision, undefined);
});

test("any other error is thrown", async (test) => {
  const error = refusal(Code.OutOfRange, "REVISION_COMPACTED", { oldest_revision: "5" });
  const { answers, requests } = streams({ events: [], last: fail(error) });
  const { client } = await clientOf(test, answers);
  const watching = revisionsOf(client.watch({ runId: "run-1" }, { afterRevision: 1n }));
  await assert.rejects(watching, { reason: "REVISION_COMPACTED", metadata: { oldest_revision: "5" } });
  assert.equal(requests.length, 1);
});

test("a watch fails after the outage that was set", async (test) => {
  const lost = { events: [], last: fail(refusal(Code.Unavailable, "SERVER_DRAINING")) };
  const { answers, requests } = streams(...Array(99).fill(lost));
  const { client } = await clientOf(test, answers);
  await assert.rejects(revisionsOf(client.watch({ runId: "run-1" }, { outageMs: 200 })), UnavailableError);
  assert(requests.length > 1);
});

test("an idle watch survives its first lost connection", async (test) => {
  const outageMs = 60;
  const { answers, requests } = streams(
    {
      events: [change(1n)],
      last: () => new Promise((_, reject) => setTimeout(reject, 2 * outageMs, refusal(Code.Unavailable, ""))),
    },
    { events: [] },
  );
  const { client } = await clientOf(test, answers);
  assert.deepEqual(await revisionsOf(client.watch({ all: {} }, { outageMs })), [1n]);
  assert.equal(requests.length, 2);
});

test("an INTERNAL of the server is not a lost connection", async (test) => {
  const error = new ConnectError("a bug", Code.Internal, { "x-request-id": "q" });
  const { answers, requests } = streams({ events: [change(1n)], last: fail(error) });
  const { client } = await clientOf(test, answers);
  await assert.rejects(revisionsOf(client.watch({ runId: "run-1" })), { code: Code.Internal });
  assert.equal(requests.length, 1);
});

const run = { runId: "run-1", status: RunStatus.INTERRUPTED };
const acknowledged = { ...run, cancellation: { acknowledgedAt: { seconds: 1n } } };
const lasts = {
  "a change": { event: { ...change(1n), run }, requests: 2 },
  "a removal": { event: { ...change(1n), event: StatusEvent.DELETED }, requests: 2 },
  "an acknowledgement": {
    event: { ...change(1n), run: acknowledged },
    options: { untilAcknowledged: true },
    requests: 2,
  },
  "a cancel without its acknowledgement": {
    event: { ...change(1n), run },
    options: { untilAcknowledged: true },
    requests: 3,
  },
  "an incomplete snapshot": { event: { event: StatusEvent.SNAPSHOT, run }, requests: 3 },
};
for (const [name, last] of Object.entries(lasts)) {
  test(`after ${name}, ${last.requests - 1} more streams are opened`, async (test) => {
    const gone = fail(refusal(Code.Unavailable, "SERVER_DRAINING"));
    const { answers, requests } = streams(
      { events: [last.event], last: gone },
      { events: [], last: gone },
      { events: [] },
    );
    const { client } = await clientOf(test, answers);
    const options = "options" in last ? last.options : {};
    assert.equal((await revisionsOf(client.watch({ runId: "run-1" }, options))).length, 1);
    assert.equal(requests.length, last.requests);
  });
}

for (const [name, leave] of Object.entries({
  break: async (watch: AsyncIterable<unknown>) => {
    for await (const _ of watch) break;
  },
  throw: async (watch: AsyncIterable<unknown>) => {
    const looping = async () => {
      for await (const _ of watch) throw new RangeError("thrown by the caller");
    };
    await assert.rejects(looping, RangeError);
  },
})) {
  test(`a ${name} in the loop ends the stream on the server`, async (test) => {
    let ended: Promise<unknown> | undefined;
    const { answers } = streams({ events: [change(1n)], last: (signal) => (ended = idle(signal)) });
    const { client } = await clientOf(test, answers);
    await leave(client.watch({ runId: "run-1" }));
    await ended;
  });
}

test("a watch can be left while it waits for an event", async (test) => {
  let ended: Promise<unknown> | undefined;
  const { answers } = streams({ events: [change(1n)], last: (signal) => (ended = idle(signal)) });
  const { client } = await clientOf(test, answers);
  const watch = client.watch({ runId: "run-1" });
  await watch.next();
  const next = watch.next();
  await watch.return?.();
  assert.equal((await next).done, true);
  await ended;
});

test("a watch can be left while it waits for a server", async (test) => {
  const { answers } = streams({ events: [change(1n)], last: idle });
  const { client, cut } = await clientOf(test, answers);
  const watch = client.watch({ runId: "run-1" });
  await watch.next();
  const next = watch.next();
  cut();
  await watch.return?.();
  assert.equal((await next).done, true);
});

test("an aborted signal throws its reason", async (test) => {
  const { answers } = streams({ events: [change(1n)], last: idle });
  const { client } = await clientOf(test, answers);
  const stop = new AbortController();
  const watching = (async () => {
    for await (const _ of client.watch({ runId: "run-1" }, { signal: stop.signal }))
      stop.abort(new RangeError("enough"));
  })();
  await assert.rejects(watching, RangeError);
  const late = client.watch({ runId: "run-1" }, { signal: stop.signal });
  await assert.rejects(late.next(), RangeError);
});

test("a watch has no deadline", async (test) => {
  const { answers } = streams({
    events: [change(1n)],
    last: () => new Promise((resolve) => setTimeout(resolve, 60)),
  });
  const { client } = await clientOf(test, answers, { timeoutMs: 20 });
  assert.deepEqual(await revisionsOf(client.watch({ runId: "run-1" })), [1n]);
});

test("closing the client ends a watch", async (test) => {
  const { answers } = streams({ events: [change(1n)], last: idle });
  const { client } = await clientOf(test, answers);
  const watch = client.watch({ runId: "run-1" });
  await watch.next();
  const next = watch.next();
  client.close();
  await assert.rejects(next, (error) => error instanceof RunError && /closed/.test(error.message));
});
