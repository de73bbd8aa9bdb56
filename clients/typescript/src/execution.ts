// The worker's side: a run that is executed here.

import { clone, create, isFieldSet, merge, toBinary } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Backoff, pause } from "./backoff.js";
import type { ProgressInit, RunClient } from "./client.js";
import { RunError } from "./errors.js";
import { type Progress, ProgressSchema, type Run, RunStatus, StatusEvent } from "./gen/runsvc/v1/run_pb.js";
import { isRefusal, mayPass, orRefusal, repeated, textOf } from "./report.js";
import { isTerminal } from "./status.js";

/** How long the report of the end is repeated at least. */
const PATIENCE_MS = 60_000;

/** Who executes. */
export interface ExecutionOptions {
  /** Becomes the run's holder: nobody else may then report on it. Unset: anyone may. */
  workerId?: string;
  /**
   * Promise of a heartbeat at least this often, 1 second to 1 hour: the server ends the run of a worker that it has not
   * heard of for so long. Needs a workerId. Unset: as promised when the run was created; if nothing was, a worker that dies
   * leaves its run RUNNING.
   */
  leaseTtlMs?: number;
}

/** A run's work. What it returns is the run's final usage, beyond what it reported; what it throws makes the run ERROR. */
export type Body = (execution: Execution) => Promise<ProgressInit | undefined> | Promise<void>;

/** How an execution ended. */
export type Executed =
  /** SUCCESS was reported. */
  | { outcome: "completed"; run: Run }
  /** ERROR was reported, with the text of what the body threw. */
  | { outcome: "failed"; run: Run; error: unknown }
  /** The run was cancelled, or displaced by a newer one, and this was acknowledged. `error`: what the body threw then. */
  | { outcome: "cancelled"; run: Run; error?: unknown }
  /** The run ended otherwise, was removed, or is another worker's: `cause` is the run as it ended, or the refusal. */
  | { outcome: "lost"; cause: Run | RunError; error?: unknown };

/** What a body is handed. */
export interface Execution {
  /** The run as it was started, without kwargs. */
  readonly run: Run;
  /** Aborted, with an AbortError, when others have ended the run: the body should stop. */
  readonly signal: AbortSignal;
  /** The run as others ended it: its cancellation says what to do with its state. Undefined: nobody did. */
  readonly ended: Run | undefined;
  /**
   * Report usage so far: the fields that are set replace what was reported of them before. False: not applied, for the run
   * is over, or there is no server now. The next report, at the latest that of the end, makes up for it then.
   */
  readonly report: (progress: ProgressInit) => Promise<boolean>;
}

/** See RunClient.execute. */
export async function execute(
  client: RunClient,
  runId: string,
  { workerId, leaseTtlMs }: ExecutionOptions,
  body: Body,
): Promise<Executed> {
  const start = () => client.setStatus(runId, RunStatus.RUNNING, { workerId, leaseTtlMs });
  // A run that cannot be started is lost to nobody.
  const { run } = await repeated(start, client.timeoutMs || Number.POSITIVE_INFINITY);
  const ttlMs = leaseTtlMs ?? (run.lease?.ttl && durationMs(run.lease.ttl)) ?? 0;
  const execution = new Executing(client, run, workerId, Math.max(ttlMs, PATIENCE_MS));
  const over = new AbortController();
  const care = [
    execution.watch(over.signal),
    workerId && ttlMs && execution.keepLease(ttlMs, workerId, over.signal),
  ];
  try {
    return await execution.finish(await execution.perform(body));
  } finally {
    over.abort();
    await Promise.all(care);
  }
}

/** How the body ended. */
type Ending = { error?: unknown };

class Executing implements Execution {
  readonly run: Run;
  readonly signal: AbortSignal;
  readonly #client: RunClient;
  readonly #report: { workerId: string | undefined };
  readonly #patienceMs: number;
  readonly #stop = new AbortController();
  readonly #usage = create(ProgressSchema);
  #end: Run | RunError | undefined;
  // Above those of whoever executed the run before, under the same name.
  #sequence = BigInt(Date.now()) * 1_000_000n;
  #reported: Promise<unknown> = Promise.resolve();

  constructor(client: RunClient, run: Run, workerId: string | undefined, patienceMs: number) {
    this.#client = client;
    this.run = run;
    this.signal = this.#stop.signal;
    this.#report = { workerId };
    this.#patienceMs = patienceMs;
  }

  get ended(): Run | undefined {
    return this.#end instanceof RunError ? undefined : this.#end;
  }

  // A property, so that a body may take it by itself.
  readonly report = async (progress: ProgressInit): Promise<boolean> => {
    // One after the other, for each carries what came before it.
    const applied = this.#reported.then(() => this.#update(progress));
    this.#reported = applied.catch(() => {});
    return applied;
  };

  async #update(progress: ProgressInit): Promise<boolean> {
    const total = this.#with(progress);
    this.#sequence += 1n;
    const options = { ...this.#report, sequence: this.#sequence };
    let applied = false;
    try {
      const answer = await this.#client.updateProgress(this.run.runId, total, options);
      applied = answer.applied;
      this.#judge(answer.run);
    } catch (error) {
      const failure = RunError.from(error);
      if (isRefusal(failure)) this.#lose(failure);
      else if (!mayPass(failure)) throw failure;
    }
    merge(ProgressSchema, this.#usage, total);
    return applied;
  }

  /** The usage so far and this one. Throws where it cannot be sent, ever, which would look like trouble that passes. */
  #with(progress: ProgressInit): Progress {
    const total = clone(ProgressSchema, this.#usage);
    merge(ProgressSchema, total, create(ProgressSchema, progress));
    toBinary(ProgressSchema, total);
    return total;
  }

  /** The final usage. Undefined: there is nothing to tell. */
  get #final(): Progress | undefined {
    return ProgressSchema.fields.some((field) => isFieldSet(this.#usage, field)) ? this.#usage : undefined;
  }

  /** Learn at once that others ended the run. Whatever else ends a watch, a new one begins with the run's present state. */
  async watch(over: AbortSignal): Promise<void> {
    const backoff = new Backoff();
    const target = { runId: this.run.runId };
    while (!over.aborted && !this.#end) {
      try {
        const options = { signal: over, outageMs: Number.POSITIVE_INFINITY };
        for await (const { event, run } of this.#client.watch(target, options)) {
          if (run) this.#judge(run, event);
        }
      } catch (error) {
        if (over.aborted) return;
        const failure = RunError.from(error);
        if (isRefusal(failure)) this.#lose(failure);
        else await pause(backoff.pauseAfter(failure), over);
      }
    }
  }

  /**
   * Send heartbeats, every third of the lease, also while nobody answers: only an answer stops the body. The lease of a
   * cancelled run is kept until the cancel was acknowledged.
   */
  async keepLease(ttlMs: number, workerId: string, over: AbortSignal): Promise<void> {
    const backoff = new Backoff();
    const { runId } = this.run;
    for (let milliseconds = ttlMs / 3; !this.#end || isCancelled(this.#end); ) {
      await pause(milliseconds, over);
      if (over.aborted) return;
      try {
        const options = { timeoutMs: Math.min(ttlMs / 3, this.#client.timeoutMs || ttlMs), signal: over };
        this.#judge(await this.#client.heartbeat(runId, workerId, options));
        backoff.reset();
        milliseconds = ttlMs / 3;
      } catch (error) {
        if (over.aborted) return;
        const failure = RunError.from(error);
        if (isRefusal(failure)) return this.#lose(failure);
        milliseconds = Math.min(backoff.pauseAfter(failure), ttlMs / 3);
      }
    }
  }

  async perform(body: Body): Promise<Ending> {
    try {
      const usage = await body(this);
      if (usage) merge(ProgressSchema, this.#usage, this.#with(usage));
      return {};
    } catch (error) {
      return { error };
    }
  }

  /** Report how the run ended, unless others ended it: a cancel is acknowledged then. */
  async finish(ending: Ending): Promise<Executed> {
    const end = this.#end ?? (await orRefusal(this.#complete(ending)));
    if ("outcome" in end) return end;
    const left = isCancelled(end) ? await orRefusal(this.#acknowledge(ending)) : end;
    if ("outcome" in left) return left;
    await this.#leaveUsage();
    return { outcome: "lost", cause: left, ...ending };
  }

  /** Say once what a run cost that is lost; whose it is now, its usage is too. How that ends does not matter. */
  async #leaveUsage(): Promise<void> {
    const usage = this.#final;
    const options = { ...this.#report, final: true };
    if (usage) await this.#client.updateProgress(this.run.runId, usage, options).catch(() => {});
  }

  async #complete(ending: Ending): Promise<Executed> {
    if (!("error" in ending)) return { outcome: "completed", run: await this.#completed(RunStatus.SUCCESS) };
    const { error } = ending;
    return { outcome: "failed", run: await this.#completed(RunStatus.ERROR, textOf(error)), error };
  }

  async #completed(status: RunStatus, error?: string): Promise<Run> {
    const options = { ...this.#report, error, progress: this.#final };
    const send = () => this.#client.complete(this.run.runId, status, options);
    return (await repeated(send, this.#patienceMs)).run;
  }

  async #acknowledge(ending: Ending): Promise<Executed> {
    const options = { ...this.#report, progress: this.#final };
    const send = () => this.#client.acknowledgeCancel(this.run.runId, options);
    return { outcome: "cancelled", run: (await repeated(send, this.#patienceMs)).run, ...ending };
  }

  #judge(run: Run, event?: StatusEvent): void {
    if (isTerminal(run.status) || event === StatusEvent.DELETED) this.#lose(run);
  }

  #lose(end: Run | RunError): void {
    this.#end ??= end;
    const what = end instanceof RunError ? end.message : `it is ${RunStatus[end.status]}`;
    this.#stop.abort(new DOMException(`run ${this.run.runId} is over: ${what}`, "AbortError"));
  }
}

function isCancelled(end: Run | RunError): boolean {
  return end instanceof RunError ? end.metadata.from === "INTERRUPTED" : end.status === RunStatus.INTERRUPTED;
}
