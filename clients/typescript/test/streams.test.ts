import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { StatusEvent, type Watch } from "@runsvc/client";
import { clientOf } from "./support/server.js";

test("watches beyond the limit of a connection open further ones", async (test) => {
  let ended = 0;
  const { client, connections } = await clientOf(test, {
    get: () => ({ run: { runId: "r" } }),
    async *streamStatus(_, { signal }) {
      yield { event: StatusEvent.SNAPSHOT_END, revision: 1n };
      if (!signal.aborted) await once(signal, "abort");
      ended += 1;
    },
  });
  const open = async (count: number) => {
    const watches = Array.from({ length: count }, () => client.watch({ all: {} }));
    await Promise.all(watches.map((watch) => watch.next()));
    return watches;
  };
  const leave = (watches: Watch[]) => Promise.all(watches.map((watch) => watch.return?.()));
  const watches = await open(600);
  await client.get("r");
  assert.equal(connections(), 8);
  // The room of a watch that is left is used again.
  await leave(watches.splice(100));
  await leave(await open(500));
  assert.equal(connections(), 8);
  await leave(watches);
  while (ended < 1_100) await new Promise((resolve) => setImmediate(resolve));
});
