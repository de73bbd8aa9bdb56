import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { test } from "node:test";
import { create, type JsonObject } from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Code, InvalidArgumentError, type Outcome, RunStatus } from "@runsvc/client";
import { type CompleteRequest, ProgressSchema } from "@runsvc/client/v1";
import { mergedProgress } from "../src/outcome.js";
import { clientOf, refusal, texts, withDetail } from "./support/server.js";

const options = { workerId: "w" };

test("usage is merged by model and field", () => {
  const first = { byModel: { a: { inputTokens: 5n, calls: 1n } } };
  let total = mergedProgress(create(ProgressSchema), first);
  total = mergedProgress(total, { totalTokens: 1n, byModel: { a: { calls: 2n }, b: {} } });
  total = mergedProgress(total, { totalTokens: 3n });
  assert.equal(total.totalTokens, 3n);
  assert.deepEqual([total.byModel.a?.inputTokens, total.byModel.a?.calls], [5n, 2n]);
  assert.deepEqual(Object.keys(total.byModel), ["a", "b"]);
});

/** A server that rejects the parts with these names, and the reports of the end that it received. */
async function serverOf(test: TestContext, rejected: string[] = []) {
  const ends: CompleteRequest[] = [];
  const run = { runId: "r", status: RunStatus.RUNNING };
  const { client } = await clientOf(test, {
    setStatus: () => ({ run }),
    get: () => ({ run }),
    heartbeat: () => ({ run }),
    complete: (request) => {
      ends.push(request);
      const parts = { progress: request.progress, result: request.result, stop_reason: request.stopReason };
      const invalid = Object.entries(parts).find(
        ([name, value]) => value !== undefined && rejected.includes(name),
      );
      if (invalid) {
        const violation = new BinaryWriter()
          .tag(1, 2)
          .bytes(texts(`${invalid[0]}.x`, "is invalid"))
          .finish();
        throw withDetail(refusal(Code.InvalidArgument, "INVALID_REQUEST"), "BadRequest", violation);
      }
      return { run: { ...run, status: request.status } };
    },
  });
  const end = async (outcome: Outcome) => {
    const executed = await client.execute("r", options, async () => outcome);
    return { executed, last: ends.at(-1) };
  };
  return { client, ends, end };
}

test("the outcome of the handler is reported", async (test) => {
  const { client, ends, end } = await serverOf(test);
  await end({ result: { answer: 42 }, stopReason: "token_capped", progress: { totalTokens: 1n } });
  assert.deepEqual([ends[0]?.result, ends[0]?.stopReason], [{ answer: 42 }, "token_capped"]);
  assert.equal(ends[0]?.progress?.totalTokens, 1n);
  await client.execute("r", options, async ({ setStopReason }) => {
    setStopReason("no_credit");
    throw new Error("broken");
  });
  assert.deepEqual([ends[1]?.error, ends[1]?.stopReason], ["broken", "no_credit"]);
  await client.execute("r", options, async () => ({ totalTokens: 2n }));
  assert.deepEqual([ends[2]?.progress?.totalTokens, ends[2]?.result], [2n, undefined]);
});

const whole = () => ({ result: { answer: 42 }, stopReason: "x", progress: { totalTokens: -1n } });

for (const part of ["progress", "result", "stop_reason"]) {
  test(`a run whose ${part} the server rejects ends without its outcome`, async (test) => {
    const { end } = await serverOf(test, [part]);
    const { executed, last } = await end(whole());
    assert(executed.outcome === "completed" && executed.rejection instanceof InvalidArgumentError);
    assert.deepEqual([last?.progress, last?.result, last?.stopReason], [undefined, undefined, undefined]);
  });
}

const deep = () => {
  let value: JsonObject = {};
  for (let level = 0; level < 5_000; level++) value = { value };
  return value;
};
const unsendable = {
  "too deep": deep(),
  "too large": { text: "x".repeat(5_000_000) },
  NaN: { number: Number.NaN },
  "not JSON": { number: 1n },
  unreadable: Object.defineProperty({}, "broken", {
    enumerable: true,
    get() {
      throw new Error("no value");
    },
  }),
  circular: Object.assign({}, { self: {} }),
};
(unsendable.circular.self as object) = unsendable.circular;
for (const [name, result] of Object.entries(unsendable)) {
  test(`a run whose result is ${name} ends without it`, async (test) => {
    const { end, ends } = await serverOf(test);
    const { executed } = await end({ result: result as JsonObject });
    assert(executed.outcome === "completed" && executed.rejection instanceof InvalidArgumentError);
    assert.deepEqual(
      executed.rejection.violations.map(({ field }) => field),
      ["result"],
    );
    assert.deepEqual([ends.length, ends[0]?.status], [1, RunStatus.SUCCESS]);
  });
}

test("update_metadata sets and removes keys", async (test) => {
  const { client } = await clientOf(test, {
    updateMetadata: ({ runId, set, remove }) => ({
      run: { runId, metadata: { ...set, removed: remove } },
      changed: true,
    }),
  });
  const { run, changed } = await client.updateMetadata("r", { set: { a: 1 }, remove: ["b"] });
  assert.deepEqual([run.metadata, changed], [{ a: 1, removed: ["b"] }, true]);
});
