// The worker's side: a run that is executed here.

import { Code } from "@connectrpc/connect";
import { Backoff, pause } from "./backoff.js";
import type { ProgressInit, RunClient } from "./client.js";
import { RunError } from "./errors.js";
import { type Run, RunStatus, StatusEvent } from "./gen/runsvc/v1/run_pb.js";
import { mayPass, orRefusal, repeated, textOf } from "./report.js";
import { isTerminal } from "./status.js";

/** How long a report is repeated for a run without a lease. */
const PATIENCE_MS = 60_000;

/** Who executes. */
export interface ExecutionOptions {
  /** Becomes the run's holder: nobody else may then report on it. Unset: anyone may. */
  workerId?: string;
  /**
   * Promise of a heartbeat at least this often, 1 second to 1 hour: the server ends the run of a worker that it has not
   * heard of for so long. Needs a workerId. Unset: no lease, and a worker that dies leaves its run RUNNING.
   */
  leaseTtlMs?: number;
}

/** A run's work. What it returns is the run's final usage; what it throws makes the run ERROR. */
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
  /** Report usage so far. False: not applied, for the run is over. */
  readonly report: (progress: ProgressInit) => Promise<boolean>;
}

/** See RunClient.execute. */
export async function execute(
  client: RunClient,
  runId: string,
  { workerId, leaseTtlMs }: ExecutionOptions,
  body: Body,
): Promise<Executed> {
  const patienceMs = leaseTtlMs ?? PATIENCE_MS;
  const start = () => client.setStatus(runId, RunStatus.RUNNING, { workerId, leaseTtlMs });
  const { run } = await repeated(start, patienceMs);
  const execution = new Executing(client, run, workerId, patienceMs);
  const over = new AbortController();
  const care = [execution.watch(over.signal), leaseTtlMs && execution.keepLease(leaseTtlMs, over.signal)];
  try {
    return await execution.finish(await execution.perform(body));
  } finally {
    over.abort();
    await Promise.all(care);
  }
}

/** How the body ended. */
type Ending = { usage: ProgressInit | undefined } | { error: unknown };

class Executing implements Execution {
  readonly run: Run;
  readonly signal: AbortSignal;
  readonly #client: RunClient;
  readonly #report: { workerId: string | undefined };
  readonly #patienceMs: number;
  readonly #stop = new AbortController();
  #end: Run | RunError | undefined;
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
    const send = () => this.#client.updateProgress(this.run.runId, progress, this.#report);
    // One after the other, so that a repeated report cannot come after a newer one.
    const answer = this.#reported.then(() => repeated(send, this.#patienceMs));
    this.#reported = answer.catch(() => {});
    const { run, applied } = await answer;
    this.#judge(run);
    return applied;
  };

  /** Learn at once that others ended the run. Without a server it goes on: that is for the lease to judge. */
  async watch(over: AbortSignal): Promise<void> {
    const target = { runId: this.run.runId };
    while (!over.aborted && !this.#end) {
      try {
        const options = { signal: over, outageMs: Number.POSITIVE_INFINITY };
        for await (const { event, run } of this.#client.watch(target, options)) {
          if (run) this.#judge(run, event);
        }
      } catch (error) {
        // The log does not reach back to where the watch was cut off, or is another store's: a snapshot tells.
        if (!over.aborted && RunError.from(error).code !== Code.OutOfRange) this.#lose(RunError.from(error));
      }
    }
  }

  /** Send heartbeats, every third of the lease. One that ran out without an answer is taken for lost. */
  async keepLease(ttlMs: number, over: AbortSignal): Promise<void> {
    const backoff = new Backoff();
    const { runId } = this.run;
    let renewed = performance.now();
    for (let milliseconds = ttlMs / 3; !this.#end; ) {
      await pause(milliseconds, over);
      if (over.aborted) return;
      const sent = performance.now();
      try {
        const options = { timeoutMs: ttlMs / 3, signal: over };
        this.#judge(await this.#client.heartbeat(runId, this.#report.workerId ?? "", options));
        renewed = sent;
        backoff.reset();
        milliseconds = ttlMs / 3;
      } catch (error) {
        if (over.aborted) return;
        const failure = RunError.from(error);
        if (!mayPass(failure) || performance.now() - renewed > ttlMs) this.#lose(failure);
        milliseconds = Math.min(backoff.pauseAfter(failure), ttlMs / 3);
      }
    }
  }

  async perform(body: Body): Promise<Ending> {
    try {
      return { usage: (await body(this)) ?? undefined };
    } catch (error) {
      return { error };
    }
  }

  /** Report how the run ended, unless others ended it: a cancel is acknowledged then. */
  async finish(ending: Ending): Promise<Executed> {
    const end = this.#end ?? (await orRefusal(this.#complete(ending)));
    if ("outcome" in end) return end;
    const left = isCancelled(end) ? await orRefusal(this.#acknowledge(ending)) : end;
    return "outcome" in left ? left : { outcome: "lost", cause: left, ...thrownIn(ending) };
  }

  async #complete(ending: Ending): Promise<Executed> {
    if ("usage" in ending) {
      const run = await this.#completed(RunStatus.SUCCESS, { progress: ending.usage });
      return { outcome: "completed", run };
    }
    const run = await this.#completed(RunStatus.ERROR, { error: textOf(ending.error) });
    return { outcome: "failed", run, ...ending };
  }

  async #completed(status: RunStatus, how: { progress?: ProgressInit; error?: string }): Promise<Run> {
    const send = () => this.#client.complete(this.run.runId, status, { ...this.#report, ...how });
    return (await repeated(send, this.#patienceMs)).run;
  }

  async #acknowledge(ending: Ending): Promise<Executed> {
    const progress = "usage" in ending ? ending.usage : undefined;
    const send = () => this.#client.acknowledgeCancel(this.run.runId, { ...this.#report, progress });
    return { outcome: "cancelled", run: (await repeated(send, this.#patienceMs)).run, ...thrownIn(ending) };
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

function thrownIn(ending: Ending): { error?: unknown } {
  return "error" in ending ? ending : {};
}

function isCancelled(end: Run | RunError): boolean {
  return end instanceof RunError ? end.metadata.from === "INTERRUPTED" : end.status === RunStatus.INTERRUPTED;
}
