import assert from "node:assert/strict";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, type Execution, RunError, RunStatus, StatusEvent } from "@runsvc/client";
import { type Answers, clientOf, refusal } from "./support/server.js";

const options = { workerId: "worker-1" };

/** A server with one run, and the reports it received. */
async function serverOf(test: TestContext, answers: Answers = {}) {
  const reports: string[] = [];
  const run = { runId: "run-1", status: RunStatus.PENDING };
  const changed = new EventTarget();
  const become = (status: RunStatus) => {
    run.status = status;
    changed.dispatchEvent(new Event("change"));
  };
  const { client, cut } = await clientOf(test, {
    setStatus: ({ status, workerId, leaseTtl }) => {
      reports.push(`start ${workerId} ${leaseTtl?.seconds ?? "without a lease"}`);
      become(status);
      return { run, changed: true };
    },
    complete: ({ status, error, progress }) => {
      reports.push(`complete ${RunStatus[status]} ${error ?? progress?.totalTokens ?? ""}`.trim());
      become(status);
      return { run, changed: true };
    },
    acknowledgeCancel: ({ progress }) => {
      reports.push(`acknowledge ${progress?.totalTokens ?? ""}`.trim());
      return { run, changed: true };
    },
    updateProgress: ({ progress }) => {
      reports.push(`progress ${progress?.totalTokens}`);
      return { run, applied: run.status === RunStatus.RUNNING };
    },
    get: () => ({ run: { ...run, kwargs: { input: "hello" } } }),
    heartbeat: () => ({ run }),
    async *streamStatus(_, { signal }) {
      yield { event: StatusEvent.SNAPSHOT, run };
      while (run.status === RunStatus.RUNNING) {
        await once(changed, "change", { signal });
        yield { event: StatusEvent.CHANGED, revision: 2n, run };
      }
    },
    ...answers,
  });
  return { client, cut, reports, become };
}

/** A handler that runs until it is stopped. */
async function untilStopped({ signal }: Execution): Promise<never> {
  if (!signal.aborted) await once(signal, "abort");
  throw signal.reason;
}

test("the result of the handler is the final usage", async (test) => {
  const { client, reports } = await serverOf(test);
  const executed = await client.execute("run-1", options, async ({ run, report, signal, ended }) => {
    assert.deepEqual([run.runId, signal.aborted, ended], ["run-1", false, undefined]);
    assert.equal(await report({ totalTokens: 1n }), true);
    return { totalTokens: 2n };
  });
  assert.equal(executed.outcome, "completed");
  assert.deepEqual(reports, ["start worker-1 without a lease", "progress 1", "complete SUCCESS 2"]);
});

test("the handler receives the kwargs of the run, also after an outage", async (test) => {
  let calls = 0;
  const { client, reports } = await serverOf(test, {
    get: () => {
      calls += 1;
      if (calls < 6) throw refusal(Code.Unavailable, "STORE_UNAVAILABLE");
      return { run: { kwargs: { input: "hello" } } };
    },
  });
  const executed = await client.execute("run-1", options, async ({ run }) => {
    assert.deepEqual([run.runId, run.kwargs], ["run-1", { input: "hello" }]);
  });
  assert.equal(executed.outcome, "completed");
  assert.equal(reports.length, 2);
});

test("a run whose kwargs cannot be read ends without a call of the handler", async (test) => {
  let code = Code.DataLoss;
  const get = () => {
    throw refusal(code, "");
  };
  const { client, reports } = await serverOf(test, { get });
  const handler = () => assert.fail("the handler was called");
  assert.equal((await client.execute("run-1", options, handler)).outcome, "failed");
  assert.match(reports.at(-1) ?? "", /^complete ERROR/);
  code = Code.NotFound;
  assert.equal((await client.execute("run-1", options, handler)).outcome, "lost");
});

test("an error of the handler is reported and returned", async (test) => {
  const { client, reports } = await serverOf(test);
  const error = new RangeError("too far");
  const executed = await client.execute("run-1", { ...options, leaseTtlMs: 30_000 }, async () => {
    throw error;
  });
  assert(executed.outcome === "failed" && executed.error === error);
  assert.deepEqual(reports, ["start worker-1 30", "complete ERROR too far"]);
});

test("an error text is truncated to the limit of the server, between two characters", async (test) => {
  const { client, reports } = await serverOf(test);
  await client.execute("run-1", options, async () => {
    throw new Error(`a${"ü".repeat(40_000)}`);
  });
  assert.equal(reports.at(-1), `complete ERROR a${"ü".repeat(32_767)}`);
});

const thrower = () => {
  throw new Error("not readable");
};
const withoutText: Record<string, unknown> = {
  undefined: undefined,
  null: null,
  "a symbol": Symbol("s"),
  "an object without a prototype": Object.create(null),
  "an error whose message is an object": Object.assign(new Error(), { message: { a: 1 } }),
  "an error without a name": Object.assign(new Error(), { message: 1n, name: "", toString: thrower }),
  "an error with a getter that throws": Object.defineProperty(new Error(), "message", { get: thrower }),
  "a proxy that throws": new Proxy({}, { get: thrower, getPrototypeOf: thrower }),
};
for (const [name, thrown] of Object.entries(withoutText)) {
  test(`${name} that the handler throws is reported and returned`, async (test) => {
    const { client, reports } = await serverOf(test);
    const executed = await client.execute("run-1", options, async () => {
      throw thrown;
    });
    // An assertion on a proxy that throws would throw too.
    assert(executed.outcome === "failed" && Object.is(executed.error, thrown));
    assert.match(reports.at(-1) ?? "", /^complete ERROR \S/);
  });
}

test("usage that the server rejects does not prevent the report of the end", async (test) => {
  const reports: string[] = [];
  const rejectNegative = (progress?: { totalTokens?: bigint }) => {
    if (progress) throw refusal(Code.InvalidArgument, "INVALID_REQUEST");
  };
  const { client, become } = await serverOf(test, {
    complete: ({ status, progress }) => {
      rejectNegative(progress);
      reports.push(`complete ${RunStatus[status]}`);
      return { run: { runId: "run-1", status } };
    },
    acknowledgeCancel: ({ progress }) => {
      rejectNegative(progress);
      reports.push("acknowledge");
      return { run: { runId: "run-1", status: RunStatus.INTERRUPTED } };
    },
  });
  const completed = await client.execute("run-1", options, async () => ({ totalTokens: -1n }));
  assert(completed.outcome === "completed" && completed.rejection instanceof RunError);
  const cancelled = await client.execute("run-1", options, async (execution) => {
    become(RunStatus.INTERRUPTED);
    await untilStopped(execution).catch(() => {});
    return { totalTokens: -1n };
  });
  assert(cancelled.outcome === "cancelled" && cancelled.error instanceof RunError);
  assert.deepEqual(reports, ["complete SUCCESS", "acknowledge"]);
});

test("a preview always fits into a message", async (test) => {
  const { client, reports } = await serverOf(test, {
    complete: ({ progress }) => {
      reports.push(`${progress?.lastAiMessage?.length}`);
      return { run: { runId: "run-1" } };
    },
  });
  await client.execute("run-1", options, async () => ({ lastAiMessage: "x".repeat(5 << 20) }));
  assert.equal(reports.at(-1), `${64 << 10}`);
});

test("a run whose start is refused is not executed", async (test) => {
  const { client } = await serverOf(test, {
    setStatus: () => {
      throw refusal(Code.FailedPrecondition, "NOT_HOLDER");
    },
  });
  const handler = () => assert.fail("the handler was called");
  await assert.rejects(client.execute("run-1", options, handler), { reason: "NOT_HOLDER" });
});

test("a cancel stops the handler at once and is acknowledged", async (test) => {
  const { client, reports, become } = await serverOf(test);
  const executed = await client.execute("run-1", options, async (execution) => {
    become(RunStatus.INTERRUPTED);
    await untilStopped(execution).catch((error) => assert.equal(error.name, "AbortError"));
    assert.equal(execution.ended?.status, RunStatus.INTERRUPTED);
    return { totalTokens: 3n };
  });
  assert.equal(executed.outcome, "cancelled");
  assert.equal(reports.at(-1), "acknowledge 3");
});

test("the answers to reports and heartbeats also reveal a cancel", async (test) => {
  const silent: Answers = {
    async *streamStatus(_, { signal }) {
      yield { event: StatusEvent.SNAPSHOT, run: { status: RunStatus.RUNNING } };
      if (!signal.aborted) await once(signal, "abort");
    },
  };
  const reporting = await serverOf(test, silent);
  const reported = await reporting.client.execute("run-1", options, async (execution) => {
    reporting.become(RunStatus.INTERRUPTED);
    assert.equal(await execution.report({ totalTokens: 1n }), false);
    return untilStopped(execution);
  });
  assert.equal(reported.outcome, "cancelled");
  const beating = await serverOf(test, silent);
  const beaten = await beating.client.execute(
    "run-1",
    { ...options, leaseTtlMs: 3_000 },
    async (execution) => {
      beating.become(RunStatus.INTERRUPTED);
      return untilStopped(execution);
    },
  );
  assert.equal(beaten.outcome, "cancelled");
});

test("a lease set at creation is renewed", async (test) => {
  const beats = new EventTarget();
  const run = { runId: "run-1", status: RunStatus.RUNNING, lease: { ttl: durationFromMs(60) } };
  const { client } = await serverOf(test, {
    setStatus: () => ({ run, changed: true }),
    heartbeat: () => {
      beats.dispatchEvent(new Event("beat"));
      return { run };
    },
  });
  const executed = await client.execute("run-1", options, async () => {
    for (let more = 0; more < 2; more += 1) await once(beats, "beat");
  });
  assert.equal(executed.outcome, "completed");
});

test("the usage of a lost run is reported once", async (test) => {
  const reported: unknown[] = [];
  const { client, become } = await serverOf(test, {
    updateProgress: ({ progress, final, workerId }) => {
      reported.push([progress?.totalTokens, final, workerId]);
      return { run: { runId: "run-1", status: RunStatus.TIMEOUT } };
    },
  });
  const executed = await client.execute("run-1", options, async (execution) => {
    become(RunStatus.TIMEOUT);
    await untilStopped(execution).catch(() => {});
    return { totalTokens: 3n };
  });
  assert.equal(executed.outcome, "lost");
  assert.deepEqual(reported, [[3n, true, "worker-1"]]);
});

test("the lease of a cancelled run is renewed until the handler returns", async (test) => {
  const beats = new EventTarget();
  const { client, become } = await serverOf(test, {
    heartbeat: () => {
      beats.dispatchEvent(new Event("beat"));
      return { run: { runId: "run-1", status: RunStatus.INTERRUPTED } };
    },
  });
  const executed = await client.execute("run-1", { ...options, leaseTtlMs: 60 }, async (execution) => {
    become(RunStatus.INTERRUPTED);
    await untilStopped(execution).catch(() => {});
    for (let more = 0; more < 3; more += 1) await once(beats, "beat");
  });
  assert.equal(executed.outcome, "cancelled");
});

test("a handler that blocks the event loop causes a warning", async (test) => {
  const { client } = await serverOf(test);
  const warned = once(process, "warning");
  const executed = await client.execute("run-1", { ...options, leaseTtlMs: 300 }, async () => {
    // Lets the first heartbeat be scheduled.
    await new Promise(setImmediate);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
  });
  assert.equal(executed.outcome, "completed");
  const [warning] = await warned;
  assert.equal(warning.code, "RUNSVC_EVENT_LOOP_BLOCKED");
  assert.match(warning.message, /run-1/);
});

for (const fence of [true, false]) {
  test(`with fence: ${fence}, a handler whose lease is not renewed ${fence ? "stops" : "keeps running"}`, async (test) => {
    const beats = new EventTarget();
    const { client, reports } = await serverOf(test, {
      heartbeat: () => {
        beats.dispatchEvent(new Event("beat"));
        throw refusal(Code.Unavailable, "STORE_UNAVAILABLE");
      },
    });
    const leaseTtlMs = 90;
    const executed = await client.execute("run-1", { ...options, leaseTtlMs, fence }, async ({ signal }) => {
      for (let missed = 0; missed < 9 && !signal.aborted; missed += 1)
        await once(beats, "beat", { signal }).catch(() => {});
      return { totalTokens: 3n };
    });
    assert.equal(executed.outcome, fence ? "fenced" : "completed");
    if (fence) assert.match(reports.at(-1) ?? "", /^complete ERROR run run-1 was stopped: no heartbeat/);
  });
}

test("a confirmed heartbeat moves the fence", async (test) => {
  const { client } = await serverOf(test);
  const executed = await client.execute("run-1", { ...options, leaseTtlMs: 900, fence: true }, async () => {
    await setTimeout(1_800);
  });
  assert.equal(executed.outcome, "completed");
});

test("a cancel between the end of the handler and the report is acknowledged", async (test) => {
  const { client, reports } = await serverOf(test, {
    complete: () => {
      throw refusal(Code.FailedPrecondition, "INVALID_TRANSITION", { from: "INTERRUPTED", to: "SUCCESS" });
    },
  });
  const executed = await client.execute("run-1", options, async () => ({ totalTokens: 4n }));
  assert.equal(executed.outcome, "cancelled");
  assert.equal(reports.at(-1), "acknowledge 4");
});

test("a cancelled run whose acknowledgement is refused is lost", async (test) => {
  const { client, become } = await serverOf(test, {
    acknowledgeCancel: () => {
      throw refusal(Code.NotFound, "RUN_NOT_FOUND");
    },
  });
  const executed = await client.execute("run-1", options, async (execution) => {
    become(RunStatus.INTERRUPTED);
    return untilStopped(execution);
  });
  assert(executed.outcome === "lost" && executed.cause instanceof RunError);
  assert.equal(executed.cause.reason, "RUN_NOT_FOUND");
});

test("a run that ended otherwise is lost, and nothing is reported", async (test) => {
  const { client, reports, become } = await serverOf(test);
  const executed = await client.execute("run-1", options, async (execution) => {
    become(RunStatus.TIMEOUT);
    return untilStopped(execution);
  });
  assert(executed.outcome === "lost" && !(executed.cause instanceof RunError));
  assert.equal(executed.cause.status, RunStatus.TIMEOUT);
  assert.equal(reports.length, 1);
});

test("a run that has another holder is lost", async (test) => {
  const { client } = await serverOf(test, {
    heartbeat: () => {
      throw refusal(Code.FailedPrecondition, "NOT_HOLDER");
    },
  });
  const executed = await client.execute("run-1", { ...options, leaseTtlMs: 3_000 }, untilStopped);
  assert(executed.outcome === "lost" && executed.cause instanceof RunError);
  assert.equal(executed.cause.reason, "NOT_HOLDER");
});

test("a handler keeps running during an outage that is longer than the lease", async (test) => {
  const beats = new EventTarget();
  let ends = 0;
  const { client, reports } = await serverOf(test, {
    heartbeat: () => {
      beats.dispatchEvent(new Event("beat"));
      throw refusal(Code.Unavailable, "STORE_UNAVAILABLE");
    },
    updateProgress: () => {
      throw refusal(Code.Unavailable, "STORE_UNAVAILABLE");
    },
    // A refused watch does not stop the handler either.
    // biome-ignore lint/correctness/useYield: the stream fails before its first event
    async *streamStatus() {
      throw refusal(Code.PermissionDenied, "PERMISSION_DENIED");
    },
    complete: ({ status, progress }) => {
      ends += 1;
      if (ends === 1) throw refusal(Code.DeadlineExceeded, "");
      reports.push(`complete ${RunStatus[status]} ${progress?.totalTokens} ${progress?.llmCallCount}`);
      return { run: { runId: "run-1" } };
    },
  });
  const executed = await client.execute(
    "run-1",
    { ...options, leaseTtlMs: 60 },
    async ({ report, signal }) => {
      assert.equal(await report({ totalTokens: 7n }), false);
      for (let missed = 0; missed < 9; missed += 1) await once(beats, "beat", { signal });
      return { llmCallCount: 1n };
    },
  );
  assert.equal(executed.outcome, "completed");
  // The report of the end contains the progress of the report that failed.
  assert.equal(reports.at(-1), "complete SUCCESS 7 1");
});

test("a report for a lost run stops the handler, and an invalid report is thrown", async (test) => {
  let code = Code.NotFound;
  const { client, reports } = await serverOf(test, {
    updateProgress: () => {
      throw refusal(code, "");
    },
  });
  const handler = async ({ report, signal }: Execution) => {
    assert.equal(await report({ totalTokens: 1n }), false);
    assert(signal.aborted);
  };
  assert.equal((await client.execute("run-1", options, handler)).outcome, "lost");
  code = Code.InvalidArgument;
  assert.equal((await client.execute("run-1", options, handler)).outcome, "failed");
  // Progress that the server rejected is not reported again.
  assert.match(reports.at(-1) ?? "", /^complete ERROR INVALID_ARGUMENT|^complete ERROR InvalidArgument/);
});

test("usage that cannot be serialized is an error of the handler", async (test) => {
  const { client } = await serverOf(test);
  // A program without types can pass this value.
  const broken = { totalTokens: 0.5 as unknown as bigint };
  const handlers = [({ report }: Execution) => report(broken).then(() => undefined), async () => broken];
  for (const handler of handlers) {
    const { outcome } = await client.execute("run-1", options, handler);
    assert.equal(outcome, "failed");
  }
});

test("the report of the end is retried until it is answered", async (test) => {
  let calls = 0;
  const { client } = await serverOf(test, {
    complete: () => {
      calls += 1;
      if (calls < 3) throw refusal(Code.Unavailable, "SERVER_DRAINING");
      return { run: { runId: "run-1" } };
    },
  });
  assert.equal((await client.execute("run-1", options, async () => {})).outcome, "completed");
  assert.equal(calls, 3);
});

test("an execution survives a lost connection", async (test) => {
  const { client, reports, cut } = await serverOf(test);
  const executed = await client.execute("run-1", options, async () => cut());
  assert.equal(executed.outcome, "completed");
  assert.equal(reports.at(-1), "complete SUCCESS");
});

test("a refused report of the end is thrown", async (test) => {
  const { client } = await serverOf(test, {
    complete: () => {
      throw refusal(Code.PermissionDenied, "PERMISSION_DENIED");
    },
  });
  await assert.rejects(
    client.execute("run-1", options, async () => {}),
    { reason: "PERMISSION_DENIED" },
  );
});
