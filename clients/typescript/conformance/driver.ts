// The driver for the conformance suite. clients/conformance/README.md describes its protocol.

import { createInterface } from "node:readline";
import { RunClient, RunError } from "@runsvc/client";
import { callsOf } from "./calls.js";
import { executionsOf } from "./executions.js";
import { failuresOf } from "./failures.js";
import { type Command, type Fields, writeError } from "./values.js";
import { watchesOf } from "./watches.js";
import { workersOf } from "./workers.js";

// The client connects to one address.
const isUnsupported = process.env.RUNSVC_TARGET?.includes(",");
const base = new RunClient(isUnsupported ? null : undefined);
const owner = process.env.RUNSVC_TEST_OWNER;
const client = owner === undefined ? base : base.forOwner(owner);
const commands: Readonly<Record<string, Command>> = {
  hello: () => ({ language: "typescript" }),
  resources: () => {
    globalThis.gc?.();
    return { handles: process.getActiveResourcesInfo().length };
  },
  quit: () => {
    base.close();
    return {};
  },
  ...callsOf(client),
  ...watchesOf(client),
  ...executionsOf(client),
  ...workersOf(client),
  ...failuresOf(client),
};

const lines = createInterface({ input: process.stdin });
for await (const line of lines) {
  const fields = JSON.parse(line) as Fields;
  process.stdout.write(`${JSON.stringify(await answer(fields))}\n`);
  if (fields.cmd === "quit") break;
}
lines.close();
base.close();

async function answer({ cmd, ...fields }: Fields): Promise<Fields> {
  if (isUnsupported && cmd !== "quit") return { unsupported: true };
  const command = commands[cmd as string];
  if (!command) throw new Error(`unknown command ${cmd}`);
  try {
    return { ok: await command(fields) };
  } catch (error) {
    if (error instanceof RunError) return { error: writeError(error) };
    throw error;
  }
}
