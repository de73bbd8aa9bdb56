// The commands for workers. Each call of a handler waits for the commands of the suite.

import { once } from "node:events";
import {
  type Executed,
  type Execution,
  type Outcome,
  RetryableError,
  type Run,
  type RunClient,
  RunError,
  RunStatus,
  type Worker,
  type WorkerOptions,
} from "@runsvc/client";
import { outcomeOf } from "./executions.js";
import { type Command, type Fields, type Json, text, writeRun } from "./values.js";

/** A call of the handler. */
interface Call {
  resolve: (outcome: Outcome) => void;
  reject: (error: Error) => void;
  /** Receives the end of the run. */
  ended: (end: Executed | RunError) => void;
  end: Promise<Executed | RunError>;
}

/** A worker whose handlers wait for the commands of the suite. */
class DrivenWorker {
  readonly worker: Worker;
  readonly #stopped: Promise<void>;
  /** The runs for which the handler was called. */
  readonly #called: Run[] = [];
  readonly #onCall = new EventTarget();
  readonly #calls = new Map<string, Call>();

  constructor(client: RunClient, fields: Fields) {
    const onEnd = ({ runId }: Run, end: Executed | RunError) => this.#calls.get(runId)?.ended(end);
    this.worker = client.worker({ ...optionsOf(fields), onEnd }, (execution) => this.#handle(execution));
    this.#stopped = this.worker.run();
    this.#stopped.catch(() => {});
  }

  #handle({ run, signal }: Execution): Promise<Outcome> {
    let ended = (_: Executed | RunError) => {};
    const end = new Promise<Executed | RunError>((resolve) => {
      ended = resolve;
    });
    return new Promise((resolve, reject) => {
      this.#calls.set(run.runId, { resolve, reject, ended, end });
      this.#called.push(run);
      this.#onCall.dispatchEvent(new Event("call"));
      signal.addEventListener("abort", () => resolve({}));
    });
  }

  async next(): Promise<Json> {
    if (this.#called.length === 0) await once(this.#onCall, "call");
    const run = this.#called.shift() as Run;
    return { run: writeRun(run), attempt: run.attempt };
  }

  async finish(fields: Fields): Promise<Json> {
    const call = this.#call(fields);
    if (fields.error === undefined) call.resolve(outcomeOf(fields));
    else call.reject(new (fields.retryable === true ? RetryableError : Error)(text(fields.error)));
    const end = await call.end;
    if (end instanceof RunError) throw end;
    if (end.outcome === "lost") throw end.cause;
    if (end.outcome === "completed" && end.rejection) throw end.rejection;
    return { run: writeRun(end.run) };
  }

  async ended(fields: Fields): Promise<Json> {
    const end = await this.#call(fields).end;
    if (end instanceof RunError) throw end;
    if (end.outcome === "lost") return { why: "lost" };
    const why = end.run.status === RunStatus.INTERRUPTED ? "cancelled" : "released";
    return { why, run: writeRun(end.run) };
  }

  async stop(): Promise<Json> {
    this.worker.stop();
    await this.#stopped;
    return {};
  }

  #call({ run_id }: Fields): Call {
    const call = this.#calls.get(text(run_id));
    if (!call) throw new Error(`no call for run ${run_id}`);
    return call;
  }
}

export function workersOf(client: RunClient): Record<string, Command> {
  const workers = new Map<Json, DrivenWorker>();
  const workerOf = ({ k = null }: Fields): DrivenWorker => {
    const worker = workers.get(k);
    if (!worker) throw new Error(`unknown worker ${k}`);
    return worker;
  };
  return {
    worker: ({ k = null, ...fields }) => {
      workers.set(k, new DrivenWorker(client, fields));
      return {};
    },
    worker_next: (fields) => workerOf(fields).next(),
    worker_finish: (fields) => workerOf(fields).finish(fields),
    worker_stopped: (fields) => workerOf(fields).ended(fields),
    worker_stop: (fields) => workerOf(fields).stop(),
    worker_health: (fields) => {
      const { state, running } = workerOf(fields).worker.health;
      return { state, running };
    },
  };
}

function optionsOf({ worker_id, assistants, concurrency, lease_ttl_ms, grace_ms }: Fields): WorkerOptions {
  return {
    ...(worker_id !== undefined && { workerId: text(worker_id) }),
    ...(assistants !== undefined && { assistants: assistants as string[] }),
    ...(concurrency !== undefined && { concurrency: Number(concurrency) }),
    ...(lease_ttl_ms !== undefined && { leaseTtlMs: Number(lease_ttl_ms) }),
    ...(grace_ms !== undefined && { graceMs: Number(grace_ms) }),
  };
}
