import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { Code, RunClient, RunError } from "@runsvc/client";
import { Outage } from "../src/outage.js";
import { refusal } from "./support/server.js";

const LOST = RunError.from(refusal(Code.Unavailable, "SERVER_DRAINING"));

/** An outage of a minute, and streams that each stood for so long before they were cut off. */
function streams() {
  let now = 0;
  const outage = new Outage(60_000, () => now);
  const cutAfter = (milliseconds: number, failure: RunError) => {
    outage.opening();
    now += milliseconds;
    return outage.cut(failure);
  };
  return { outage, cutAfter };
}

/** What a client fails with where nobody listens. */
async function unreachable(): Promise<RunError> {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  await once(server.close(), "close");
  const client = new RunClient(`127.0.0.1:${port}`, { token: null, tlsCa: null });
  const failure = await client.get("run-1").catch(RunError.from);
  client.close();
  assert(failure instanceof RunError);
  return failure;
}

test("a server is gone from the first cut on, however long it had been silent", () => {
  const { cutAfter } = streams();
  cutAfter(600_000, LOST);
  cutAfter(9_000, LOST);
  for (let attempt = 0; attempt < 5; attempt += 1) cutAfter(9_000, LOST);
  assert.throws(() => cutAfter(9_000, LOST), LOST);
});

test("a message, and a stream that stood, show that the server is there", () => {
  const { outage, cutAfter } = streams();
  cutAfter(0, LOST);
  for (let stream = 0; stream < 9; stream += 1) cutAfter(15_000, LOST);
  assert(outage.isOn);
  outage.heard();
  assert(!outage.isOn);
  assert(cutAfter(70_000, LOST) <= 50);
});

test("a connection that took long to fail is none", async () => {
  const failure = await unreachable();
  const { cutAfter } = streams();
  cutAfter(130_000, failure);
  assert.throws(() => cutAfter(130_000, failure), failure);
});
