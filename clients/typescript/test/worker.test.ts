import assert from "node:assert/strict";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import type { ConnectError } from "@connectrpc/connect";
import {
  Code,
  type Executed,
  type Execution,
  type Handler,
  RetryableError,
  type Run,
  type RunError,
  RunStatus,
  type WorkerOptions,
} from "@runsvc/client";
import type { ClaimRequest, CompleteRequest, ReleaseRequest } from "@runsvc/client/v1";
import { clientOf, refusal } from "./support/server.js";

const runOf = (number: number) => ({
  runId: `r${number}`,
  status: RunStatus.RUNNING,
  attempt: 3,
  revision: 1n,
});
const options = { assistants: ["echo"], workerId: "w" };

/** The numbers of the runs that a claim returns, an error, or no answer. */
type Answer = number[] | ConnectError | undefined;

/** A worker of a server that gives these answers to claims, and then none. The server accepts every report. */
async function workerOf(test: TestContext, answers: Answer[], handler: Handler, more: WorkerOptions = {}) {
  const claims: ClaimRequest[] = [];
  const ends: CompleteRequest[] = [];
  const releases: ReleaseRequest[] = [];
  const others: string[] = [];
  const { client } = await clientOf(test, {
    claim: async (request, { signal }) => {
      claims.push(request);
      const answer = answers.shift();
      if (Array.isArray(answer)) return { runs: answer.map(runOf) };
      if (answer) throw answer;
      if (request.wait?.seconds === 0n) return {};
      if (!signal.aborted) await once(signal, "abort");
      return {};
    },
    complete: (request) => {
      ends.push(request);
      return { run: { ...runOf(1), status: request.status } };
    },
    release: (request) => {
      releases.push(request);
      return { run: { ...runOf(1), status: RunStatus.PENDING } };
    },
    heartbeat: () => ({ run: runOf(1) }),
    updateProgress: () => ({ run: runOf(1), applied: true }),
    setStatus: () => {
      others.push("setStatus");
      return {};
    },
    get: () => {
      others.push("get");
      return {};
    },
    // biome-ignore lint/correctness/useYield: the stream is empty
    async *streamStatus(_, { signal }) {
      if (!signal.aborted) await once(signal, "abort");
    },
  });
  return { worker: client.worker({ ...options, ...more }, handler), claims, ends, releases, others };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setTimeout(5);
}

async function untilStopped({ signal }: Execution): Promise<never> {
  if (!signal.aborted) await once(signal, "abort");
  throw signal.reason;
}

test("a worker claims no more than it has slots, and performs each run", async (test) => {
  const finish = new Map<string, { resolve: () => void; reject: (error: Error) => void }>();
  const handler = ({ run }: Execution) =>
    new Promise<void>((resolve, reject) => finish.set(run.runId, { resolve, reject }));
  const { worker, claims, ends, others } = await workerOf(test, [[1, 2], [3]], handler, { concurrency: 3 });
  assert.equal(worker.health.state, "starting");
  const running = worker.run();
  await until(() => finish.size === 3);
  assert.deepEqual([worker.health.state, worker.health.running], ["working", 3]);
  assert.deepEqual(
    claims.map(({ maxRuns, workerId, assistantIds }) => [maxRuns, workerId, assistantIds]),
    [
      [3, "w", ["echo"]],
      [1, "w", ["echo"]],
    ],
  );
  assert.notEqual(claims[0]?.requestId, claims[1]?.requestId);
  for (const [runId, { resolve, reject }] of finish) {
    if (runId === "r2") reject(new RetryableError("no credit"));
    else resolve();
  }
  await until(() => ends.length === 3 && claims.length === 3);
  for (const { runId, attempt, workerId, retryable, error } of ends) {
    assert.deepEqual([attempt, workerId], [3, "w"]);
    assert.deepEqual([retryable, error], runId === "r2" ? [true, "no credit"] : [false, undefined]);
  }
  assert.deepEqual(others, []);
  worker.stop();
  await running;
  assert.deepEqual([worker.health.state, worker.health.running], ["stopped", 0]);
  assert(worker.health.lastClaimAt);
});

test("a claim whose answer was lost is sent again, and the worker shows the outage", async (test) => {
  const answers = [[], refusal(Code.Internal, ""), refusal(Code.Unauthenticated, ""), [1]];
  const ends: (Executed | RunError)[] = [];
  const onEnd = (_: Run, end: Executed | RunError) => ends.push(end);
  const fail = async () => {
    throw new Error("broken");
  };
  const { worker, claims } = await workerOf(test, answers, fail, { onEnd });
  const running = worker.run();
  await until(() => worker.health.state === "disconnected");
  const since = worker.health.disconnectedSince;
  assert(since);
  await until(() => claims.length === 5);
  const ids = claims.map(({ requestId }) => requestId);
  assert(ids[1] === ids[2] && ids[2] === ids[3]);
  assert.equal(new Set(ids).size, 3);
  assert(ends[0] && "outcome" in ends[0] && ends[0].outcome === "failed");
  assert.equal(worker.health.state, "working");
  worker.stop();
  await running;
});

test("a worker ends when its claims are refused", async (test) => {
  const { worker } = await workerOf(test, [refusal(Code.PermissionDenied, "")], async () => {});
  await assert.rejects(worker.run(), { code: Code.PermissionDenied });
  assert.equal(worker.health.state, "stopped");
});

test("runs in progress finish within the grace period", async (test) => {
  const { worker, claims, ends, releases } = await workerOf(test, [[1]], async () => {
    await setTimeout(100);
  });
  const stop = new AbortController();
  const running = worker.run(stop.signal);
  await until(() => worker.health.running === 1);
  stop.abort();
  await until(() => worker.health.state === "draining");
  await running;
  assert.deepEqual([claims.length, ends.length, releases.length], [1, 1, 0]);
});

test("runs are given back after the grace period, which a later stop can shorten", async (test) => {
  const ends: (Executed | RunError)[] = [];
  const onEnd = (_: Run, end: Executed | RunError) => ends.push(end);
  const { worker, releases } = await workerOf(test, [[1]], untilStopped, { onEnd });
  const running = worker.run();
  await until(() => worker.health.running === 1);
  worker.stop();
  await setTimeout(50);
  assert.equal(worker.health.running, 1);
  worker.stop(0);
  worker.stop(60_000);
  await running;
  assert.deepEqual(
    releases.map(({ runId, workerId, attempt }) => [runId, workerId, attempt]),
    [["r1", "w", 3]],
  );
  assert(ends[0] && "outcome" in ends[0] && ends[0].outcome === "released");
});

test("a run whose handler does not stop is given back too", async (test) => {
  const { worker, releases } = await workerOf(test, [[1]], () => new Promise<void>(() => {}));
  const running = worker.run();
  await until(() => worker.health.running === 1);
  worker.stop(0);
  await running;
  assert.equal(releases.length, 1);
});

test("a claim without an answer is given back at the stop", async (test) => {
  // The second claim gets no answer; the third one has the runs of the second.
  const { worker, claims, releases } = await workerOf(test, [[], undefined, [1]], async () => {});
  const running = worker.run();
  await until(() => claims.length === 2);
  worker.stop();
  await running;
  assert.equal(claims[1]?.requestId, claims[2]?.requestId);
  assert.deepEqual(
    claims.map(({ wait }) => wait?.seconds),
    [0n, 20n, 0n],
  );
  assert.equal(releases.length, 1);
});

test("a worker with an invalid option is not created", async (test) => {
  await assert.rejects(
    workerOf(test, [], async () => {}, { concurrency: 0 }),
    RangeError,
  );
  await assert.rejects(
    workerOf(test, [], async () => {}, { leaseTtlMs: Number.NaN }),
    RangeError,
  );
});
