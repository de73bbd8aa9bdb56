// The commands of the worker's side: the body that is executed waits for the harness.

import { once } from "node:events";
import type { Executed, Execution, ProgressInit, Run, RunClient } from "@runsvc/client";
import { ProgressSchema } from "@runsvc/client/v1";
import { text, writtenRun } from "./calls.js";
import type { Command } from "./driver.js";
import { type Fields, type Json, read } from "./values.js";

/** A body that was started: it ends as `end` is told. */
interface Work {
  execution: Execution;
  end: { resolve: (usage: ProgressInit | undefined) => void; reject: (error: Error) => void };
  executed: Promise<Executed>;
}

/** The commands of the worker's side. */
export function worksOf(client: RunClient): Record<string, Command> {
  const works = new Map<Json, Work>();
  const workOf = ({ k = null }: Fields): Work => {
    const work = works.get(k);
    if (!work) throw new Error(`there is no work ${k}`);
    return work;
  };
  return {
    work: async ({ k = null, ...fields }) => {
      const work = await begun(client, fields);
      works.set(k, work);
      return { run: writtenRun(work.execution.run) };
    },
    report: async (fields) => ({ applied: await workOf(fields).execution.report(progressOf(fields) ?? {}) }),
    executing: (fields) => ({ executing: !workOf(fields).execution.signal.aborted }),
    finish: async (fields) => {
      const { end, executed } = workOf(fields);
      if (fields.error === undefined) end.resolve(progressOf(fields));
      else end.reject(new Error(text(fields.error)));
      return { run: writtenRun(runOf(await executed)) };
    },
    stopped: async (fields): Promise<Json> => {
      const { execution, end, executed } = workOf(fields);
      if (!execution.signal.aborted) await once(execution.signal, "abort");
      end.resolve(progressOf(fields));
      const ended = await executed;
      if (ended.outcome === "lost") return { why: "lost" };
      return { why: ended.outcome, run: writtenRun(ended.run) };
    },
  };
}

function begun(client: RunClient, fields: Fields): Promise<Work> {
  return new Promise((resolve, reject) => {
    const options = { ...worker(fields), ...lease(fields) };
    const executed = client.execute(
      text(fields.run_id),
      options,
      (execution) =>
        new Promise<ProgressInit | undefined>((finish, fail) => {
          resolve({ execution, end: { resolve: finish, reject: fail }, executed });
        }),
    );
    executed.catch(reject);
  });
}

function runOf(executed: Executed): Run {
  if (executed.outcome !== "lost") return executed.run;
  throw executed.cause;
}

function worker({ worker_id }: Fields): { workerId?: string } {
  return worker_id === undefined ? {} : { workerId: text(worker_id) };
}

function lease({ lease_ttl_ms }: Fields): { leaseTtlMs?: number } {
  return lease_ttl_ms === undefined ? {} : { leaseTtlMs: Number(lease_ttl_ms) };
}

function progressOf({ progress }: Fields): ProgressInit | undefined {
  return progress === undefined ? undefined : read(ProgressSchema, progress as Fields);
}
