import assert from "node:assert/strict";
import { test } from "node:test";
import { RunStatus } from "@runsvc/client";
import { newWorkerId } from "../src/workerId.js";
import { clientOf } from "./support/server.js";

test("every execution has a worker id of its own, unless one is set", async (test) => {
  const ids: (string | undefined)[] = [];
  const run = { runId: "run-1", status: RunStatus.RUNNING };
  const { client } = await clientOf(test, {
    setStatus: ({ workerId }) => {
      ids.push(workerId);
      return { run };
    },
    get: () => ({ run }),
    complete: ({ workerId }) => {
      ids.push(workerId);
      return { run };
    },
  });
  for (const options of [{}, {}, { workerId: "worker-1" }, { workerId: null }])
    await client.execute("run-1", options, async () => {});
  assert.match(ids[0] ?? "", new RegExp(`^[A-Za-z0-9].*-${process.pid}-[0-9a-f]{8}$`));
  assert.equal(ids[1], ids[0]);
  assert.notEqual(ids[2], ids[0]);
  assert.deepEqual(ids.slice(4), ["worker-1", "worker-1", undefined, undefined]);
});

for (const [host, prefix] of [
  ["web-1.local", "web-1.local"],
  ["_-ü a", "a"],
  ["", "host"],
  ["x".repeat(300), "x".repeat(64)],
] as const) {
  test(`the host name ${JSON.stringify(host)} makes a valid id`, () =>
    assert(newWorkerId(host).startsWith(`${prefix}-${process.pid}-`)));
}
