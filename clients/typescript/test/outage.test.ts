import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { Code, RunClient, RunError } from "@runsvc/client";
import { Outage } from "../src/outage.js";
import { refusal } from "./support/server.js";

const LOST = RunError.from(refusal(Code.Unavailable, "SERVER_DRAINING"));

/** An outage of at most a minute. `loseAfter`: a stream is lost after being open for this long. */
function streams() {
  let now = 0;
  const outage = new Outage(60_000, () => now);
  const loseAfter = (milliseconds: number, failure: RunError) => {
    outage.streamOpened();
    now += milliseconds;
    return outage.streamLost(failure);
  };
  return { outage, loseAfter };
}

/** The error of a client whose server does not exist. */
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

test("an outage begins when the first stream is lost, even after a long silence", () => {
  const { loseAfter } = streams();
  loseAfter(600_000, LOST);
  loseAfter(9_000, LOST);
  for (let attempt = 0; attempt < 5; attempt += 1) loseAfter(9_000, LOST);
  assert.throws(() => loseAfter(9_000, LOST), LOST);
});

test("a message ends an outage, and a long stream restarts it", () => {
  const { outage, loseAfter } = streams();
  loseAfter(0, LOST);
  for (let stream = 0; stream < 9; stream += 1) loseAfter(15_000, LOST);
  assert(outage.isActive);
  outage.messageReceived();
  assert(!outage.isActive);
  assert(loseAfter(70_000, LOST) <= 50);
});

test("a slow failure to connect does not count as a connection", async () => {
  const failure = await unreachable();
  const { loseAfter } = streams();
  loseAfter(130_000, failure);
  assert.throws(() => loseAfter(130_000, failure), failure);
});
