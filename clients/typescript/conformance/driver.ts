// What the conformance suite drives the client with: clients/conformance/README.md is its protocol.

import { createInterface } from "node:readline";
import { RunClient, RunError } from "@runsvc/client";
import { callsOf } from "./calls.js";
import { type Fields, type Json, writtenError } from "./values.js";
import { watchesOf } from "./watches.js";
import { worksOf } from "./works.js";

/** Does what a command says; what it returns is answered as `ok`. */
export type Command = (fields: Fields) => Promise<Json> | Json;

const client = new RunClient();
const commands: Readonly<Record<string, Command>> = {
  hello: () => ({ language: "typescript" }),
  resources: () => {
    globalThis.gc?.();
    return { handles: process.getActiveResourcesInfo().length };
  },
  quit: () => {
    client.close();
    return {};
  },
  ...callsOf(client),
  ...watchesOf(client),
  ...worksOf(client),
};

const lines = createInterface({ input: process.stdin });
for await (const line of lines) {
  const fields = JSON.parse(line) as Fields;
  process.stdout.write(`${JSON.stringify(await answered(fields))}\n`);
  if (fields.cmd === "quit") break;
}
lines.close();
client.close();

async function answered({ cmd, ...fields }: Fields): Promise<Fields> {
  const command = commands[cmd as string];
  if (!command) throw new Error(`there is no command ${cmd}`);
  try {
    return { ok: await command(fields) };
  } catch (error) {
    if (error instanceof RunError) return { error: writtenError(error) };
    throw error;
  }
}
