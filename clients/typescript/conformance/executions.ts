// The commands for executions. The handler waits for the commands of the suite.

import { once } from "node:events";
import type { Executed, Execution, Outcome, ProgressInit, Run, RunClient } from "@runsvc/client";
import { ProgressSchema } from "@runsvc/client/v1";
import { type Command, type Fields, type Json, read, text, writeRun } from "./values.js";

/** A handler that runs until `end` is called. */
interface RunningHandler {
  execution: Execution;
  end: { resolve: (outcome: Outcome) => void; reject: (error: unknown) => void };
  executed: Promise<Executed>;
}

export function executionsOf(client: RunClient): Record<string, Command> {
  const handlers = new Map<Json, RunningHandler>();
  const handlerOf = ({ k = null }: Fields): RunningHandler => {
    const handler = handlers.get(k);
    if (!handler) throw new Error(`unknown execution ${k}`);
    return handler;
  };
  return {
    work: async ({ k = null, ...fields }) => {
      const handler = await start(client, fields);
      handlers.set(k, handler);
      return { run: writeRun(handler.execution.run) };
    },
    report: async (fields) => ({
      applied: await handlerOf(fields).execution.report(progressOf(fields) ?? {}),
    }),
    executing: (fields) => ({ executing: !handlerOf(fields).execution.signal.aborted }),
    finish: async (fields): Promise<Json> => {
      const { execution, end, executed } = handlerOf(fields);
      if (fields.stop_reason !== undefined) execution.setStopReason(text(fields.stop_reason));
      // Nothing that is thrown is worse than another. Most programs expect an error.
      if (fields.throws === "panic") end.reject(undefined);
      else if (fields.throws !== undefined) end.reject(withoutText());
      else if (fields.error !== undefined) end.reject(new Error(text(fields.error)));
      else end.resolve(outcomeOf(fields));
      const run = writeRun(runOf(await executed));
      if (fields.throws === "panic") return {};
      // The text of an error without text names the type, which differs by language.
      if (fields.throws !== undefined) delete run.error;
      return { run };
    },
    stopped: async (fields): Promise<Json> => {
      const { execution, end, executed } = handlerOf(fields);
      if (!execution.signal.aborted) await once(execution.signal, "abort");
      end.resolve(outcomeOf(fields));
      const result = await executed;
      if (result.outcome === "lost") return { why: "lost" };
      const run = writeRun(result.run);
      if (result.outcome === "fenced") delete run.error;
      return { why: result.outcome, run };
    },
  };
}

function start(client: RunClient, fields: Fields): Promise<RunningHandler> {
  return new Promise((resolve, reject) => {
    const options = { ...workerId(fields), ...lease(fields), fence: fields.fence === true };
    const executed = client.execute(
      text(fields.run_id),
      options,
      (execution) =>
        new Promise<Outcome>((finish, fail) => {
          resolve({ execution, end: { resolve: finish, reject: fail }, executed });
        }),
    );
    executed.catch(reject);
  });
}

function runOf(executed: Executed): Run {
  if (executed.outcome === "lost") throw executed.cause;
  if (executed.outcome === "completed" && executed.rejection) throw executed.rejection;
  return executed.run;
}

/** An error whose text cannot be read. */
function withoutText(): unknown {
  const message = {
    toString() {
      throw new Error("this error has no text");
    },
  };
  return Object.defineProperty(new Error(), "message", { value: message });
}

function workerId({ worker_id }: Fields): { workerId: string | null } {
  return { workerId: worker_id === undefined ? null : text(worker_id) };
}

function lease({ lease_ttl_ms }: Fields): { leaseTtlMs?: number } {
  return lease_ttl_ms === undefined ? {} : { leaseTtlMs: Number(lease_ttl_ms) };
}

export function outcomeOf(fields: Fields): Outcome {
  const { result, stop_reason } = fields;
  const progress = progressOf(fields);
  return {
    ...(progress && { progress }),
    ...(result !== undefined && { result: result as Outcome["result"] & object }),
    ...(stop_reason !== undefined && { stopReason: text(stop_reason) }),
  };
}

function progressOf({ progress }: Fields): ProgressInit | undefined {
  return progress === undefined ? undefined : read(ProgressSchema, progress as Fields);
}
