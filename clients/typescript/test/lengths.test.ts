import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, RunClient, RunStatus } from "@runsvc/client";
import { Backoff, pause } from "../src/backoff.js";
import type { RunError } from "../src/errors.js";
import { Attempts } from "../src/retry.js";
import { settingsOf } from "../src/settings.js";
import { clientOf, refusal } from "./support/server.js";

const LONG = [Number.POSITIVE_INFINITY, Number.MAX_VALUE, Number.MAX_SAFE_INTEGER, 9e9 * 1_000];

for (const milliseconds of LONG) {
  test(`a call with a timeout of ${milliseconds} ms has no deadline`, async (test) => {
    assert.equal(new Attempts(true, milliseconds).remainingMs(), 0);
    const { client } = await clientOf(test, { get: () => ({ run: { runId: "run-1" } }) });
    assert.equal((await client.get("run-1", { timeoutMs: milliseconds })).runId, "run-1");
  });

  test(`a pause of ${milliseconds} ms does not end at once`, async () => {
    const signal = AbortSignal.timeout(20);
    await pause(milliseconds, signal);
    assert(signal.aborted);
  });
}

test("RUNSVC_TIMEOUT can be very long", () => {
  assert.equal(settingsOf(undefined, {}, { RUNSVC_TIMEOUT: "1e10" }).timeoutMs, 1e13);
});

test("a length that is not a number is refused before a call is made", async () => {
  const client = new RunClient("127.0.0.1:1");
  const nan = Number.NaN;
  assert.throws(() => new RunClient("127.0.0.1:1", { timeoutMs: nan }), RangeError);
  await assert.rejects(client.get("run-1", { timeoutMs: nan }), RangeError);
  assert.throws(() => client.watch({ all: {} }, { outageMs: nan }), RangeError);
  assert.throws(() => client.watch({ all: {} }, { heartbeatIntervalMs: nan }), RangeError);
  await assert.rejects(client.setStatus("run-1", RunStatus.RUNNING, { leaseTtlMs: nan }), RangeError);
  const execution = client.execute("run-1", { leaseTtlMs: nan }, async () => {});
  await assert.rejects(execution, RangeError);
  client.close();
});

test("a lease is always sent: the server decides about zero, negative and endless ones", async (test) => {
  const sent: (bigint | undefined)[] = [];
  const { client } = await clientOf(test, {
    setStatus: ({ leaseTtl }) => {
      sent.push(leaseTtl?.seconds);
      throw refusal(Code.InvalidArgument, "INVALID_REQUEST");
    },
  });
  for (const leaseTtlMs of [0, -1_000, ...LONG]) {
    const execution = client.execute("run-1", { workerId: "worker-1", leaseTtlMs }, async () => {});
    await assert.rejects(execution, { reason: "INVALID_REQUEST" });
  }
  assert.deepEqual(sent.slice(0, 4), [0n, -1n, 315_576_000_000n, 315_576_000_000n]);
  assert(sent.every((seconds) => seconds !== undefined));
});

test("the delay of a server is limited", () => {
  const error = { retryAfterMs: Number.MAX_VALUE } as RunError;
  assert(new Backoff().pauseAfter(error) <= 3_600_050);
});
