// Executions at the same time, whose handlers end in every way that the language has.

import { setTimeout as sleep } from "node:timers/promises";
import type { Execution, ProgressInit, RunClient } from "@runsvc/client";
import type { Command } from "./values.js";

type End = () => ProgressInit | undefined;

const hostile = new Proxy(
  {},
  {
    get() {
      throw new Error("no property");
    },
    getPrototypeOf() {
      throw new Error("no prototype");
    },
  },
);
const textless = Object.defineProperty(new Error(), "message", {
  get() {
    throw new Error("no text");
  },
});
const long = "long".repeat(100_000);
const values: unknown[] = [
  new Error("the work failed"),
  new Error(),
  new Error(long),
  new Error("\ud800\u0000"),
  new DOMException("aborted", "AbortError"),
  new AggregateError([new Error("one"), undefined]),
  textless,
  hostile,
  Object.create(null),
  { message: {} },
  { message: { toString: null } },
  "the work failed",
  "",
  0,
  1n,
  null,
  undefined,
  Symbol("failure"),
  () => undefined,
];

const ends: End[] = [
  () => undefined,
  () => ({ totalTokens: 1n }),
  () => ({ totalTokens: -1n }),
  () => ({ lastAiMessage: long.repeat(20) }),
  // Programs without types return anything.
  ...["text", 1, null, hostile, { totalTokens: "many" }].map(
    (value) => () => value as ProgressInit | undefined,
  ),
  ...values.map((value) => () => {
    throw value;
  }),
];

export function failuresOf(client: RunClient): Record<string, Command> {
  return {
    execute_all: async ({ run_ids, first, lease_ttl_ms, work_ms }) => {
      const executions = (run_ids as string[]).map((runId, number) => {
        const end = ends[(Number(first) + number) % ends.length] as End;
        return client.execute(runId, { leaseTtlMs: Number(lease_ttl_ms) }, async (execution) => {
          await rest(Number(work_ms), execution);
          return end();
        });
      });
      await Promise.allSettled(executions);
      return {};
    },
  };
}

/** Waits for the time of the work, or until the handler is to stop. */
async function rest(milliseconds: number, { signal }: Execution): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
}
