// A worker: the loop that claims runs and performs them.

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Backoff, pause } from "./backoff.js";
import { RunError } from "./errors.js";
import type { Executed, Handler } from "./execution.js";
import { started } from "./executor.js";
import type { ExecutorCalls } from "./executorCalls.js";
import type { Run } from "./gen/runsvc/v1/run_pb.js";
import { checkLength } from "./lengths.js";
import type { ClaimOptions } from "./options.js";
import { isOutage } from "./report.js";
import { Shutdown } from "./shutdown.js";
import { newWorkerId } from "./workerId.js";

/** The largest number of runs that one claim asks for. */
const MAX_CLAIM = 32;
/** How long a stopped handler may take before its run is given back without it. */
const STOPPING_MS = 5_000;

/** Configures a {@link Worker}. */
export interface WorkerOptions {
  /** The assistants whose runs the worker performs, at most 16. Default: runs of every assistant. */
  assistants?: string[];
  /** The highest number of runs at a time. Default: 1. */
  concurrency?: number;
  /**
   * The id of the worker, which becomes the holder of its runs. Default: a new id from the host name, the process id
   * and a random number.
   */
  workerId?: string;
  /** The lease of each run in milliseconds, from 1 second to 1 hour. Default: 30 seconds. */
  leaseTtlMs?: number;
  /** Stop a handler when the lease of its run may be over: see {@link ExecuteOptions.fence}. Default: false. */
  fence?: boolean;
  /** How long one claim waits for a run, in milliseconds, at most 60 seconds. Default: 20 seconds. */
  waitMs?: number;
  /** How long the runs in progress may take after the stop, in milliseconds. Default: 30 seconds. */
  graceMs?: number;
  /**
   * Called with each run and its end, or with the error of a report that failed. Default: a warning of the process for
   * a run that was lost or whose report failed.
   */
  onEnd?: (run: Run, end: Executed | RunError) => void;
}

/** The health of a {@link Worker}. */
export interface WorkerHealth {
  /**
   * `starting`: the server has not answered a claim yet. `disconnected`: claims fail, because the server cannot be
   * reached, is overloaded, or refuses the token. `draining`: the worker claims no more runs, and waits for those in
   * progress.
   */
  readonly state: "starting" | "working" | "disconnected" | "draining" | "stopped";
  /** The number of runs in progress. */
  readonly running: number;
  /** When the server last answered a claim. */
  readonly lastClaimAt?: Date;
  /** Since when claims have failed, while the state is `disconnected`. */
  readonly disconnectedSince?: Date;
}

/** The calls that a worker makes. RunClient implements them. */
export interface WorkerCalls extends ExecutorCalls {
  claim(workerId: string, options: ClaimOptions): Promise<Run[]>;
}

/**
 * Claims runs and performs them with a handler, until it is stopped.
 *
 * A worker claims no more runs than it has free slots. It performs each as {@link RunClient.execute} does, and survives
 * outages of the server. After the stop it claims no more and lets the runs in progress finish within the grace period;
 * then it stops their handlers and gives the runs back.
 */
export class Worker {
  readonly #calls: WorkerCalls;
  readonly #handler: Handler;
  readonly #options: WorkerOptions & {
    workerId: string;
    leaseTtlMs: number;
    waitMs: number;
    graceMs: number;
  };
  readonly #shutdown = new Shutdown();
  readonly #running = new Set<Promise<void>>();
  #health: Omit<WorkerHealth, "running"> = { state: "starting" };

  /** @internal */
  constructor(calls: WorkerCalls, options: WorkerOptions, handler: Handler) {
    const { concurrency = 1 } = options;
    if (!(concurrency >= 1)) throw new RangeError(`concurrency is ${concurrency}; set it to 1 or more`);
    for (const name of ["leaseTtlMs", "waitMs", "graceMs"] as const) checkLength(name, options[name] ?? 0);
    this.#calls = calls;
    this.#handler = handler;
    const defaults = { leaseTtlMs: 30_000, waitMs: 20_000, graceMs: 30_000 };
    this.#options = { ...defaults, ...options, workerId: options.workerId ?? newWorkerId() };
  }

  /** The state of the worker. */
  get health(): WorkerHealth {
    return { ...this.#health, running: this.#running.size };
  }

  /**
   * Claim and perform runs until {@link Worker.stop} is called, or the signal is aborted.
   *
   * @throws RunError if the server refused a claim for a reason that does not pass, for example a missing role. The
   * runs in progress are finished first, within the grace period.
   */
  async run(signal?: AbortSignal): Promise<void> {
    const stop = () => this.stop();
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop);
    try {
      await this.#claimUntilStopped();
    } finally {
      this.stop();
      this.#health = { ...this.#claimed(), state: "draining" };
      // Each run ends by itself: it is finished, or given back after the grace period.
      await Promise.all(this.#running);
      this.#health = { ...this.#claimed(), state: "stopped" };
      signal?.removeEventListener("abort", stop);
    }
  }

  /**
   * Stop: claim no more runs, and let those in progress finish within the grace period. A later call can shorten the
   * period, but not extend it.
   */
  stop(graceMs = this.#options.graceMs): void {
    this.#shutdown.begin(checkLength("graceMs", graceMs));
  }

  async #claimUntilStopped(): Promise<void> {
    const { begun } = this.#shutdown;
    const { workerId, concurrency = 1 } = this.#options;
    const backoff = new Backoff();
    const stopped = begun.aborted || once(begun, "abort");
    let unanswered: ClaimOptions | undefined;
    let isConnected = false;
    while (!begun.aborted) {
      const free = concurrency - this.#running.size;
      if (free < 1) {
        await Promise.race([...this.#running, stopped]);
        continue;
      }
      unanswered ??= this.#claimOf(Math.min(free, MAX_CLAIM));
      // Without a wait, the answer shows at once that there is a server.
      const wait = isConnected ? {} : { waitMs: 0 };
      const sent = performance.now();
      try {
        const runs = await this.#calls.claim(workerId, { ...unanswered, ...wait, signal: begun });
        isConnected = true;
        unanswered = undefined;
        backoff.reset();
        this.#health = { state: "working", lastClaimAt: new Date() };
        for (const run of runs) this.#begin(run, sent);
      } catch (thrown) {
        if (begun.aborted) break;
        const error = RunError.from(thrown);
        if (!isOutage(error)) throw error;
        isConnected = false;
        const disconnectedSince = this.#health.disconnectedSince ?? new Date();
        this.#health = { ...this.#claimed(), state: "disconnected", disconnectedSince };
        await pause(backoff.pauseAfter(error), begun);
      }
    }
    if (unanswered) await this.#giveBackUnanswered(unanswered);
  }

  #claimed(): { lastClaimAt?: Date } {
    const { lastClaimAt } = this.#health;
    return lastClaimAt ? { lastClaimAt } : {};
  }

  #claimOf(maxRuns: number): ClaimOptions {
    const { assistants, workerId, leaseTtlMs, waitMs, fence } = this.#options;
    return {
      ...(assistants && { assistantIds: assistants }),
      maxRuns,
      leaseTtlMs,
      // The lease of a run counts from the request at the earliest.
      waitMs: fence ? Math.min(waitMs, leaseTtlMs / 3) : waitMs,
      requestId: `${workerId}-${randomBytes(8).toString("hex")}`,
    };
  }

  /** Give back the runs of a claim whose answer did not arrive before the stop. The same request returns them. */
  async #giveBackUnanswered(claim: ClaimOptions): Promise<void> {
    const { workerId } = this.#options;
    const runs = await this.#calls.claim(workerId, { ...claim, waitMs: 0 }).catch(() => []);
    for (const { runId, attempt } of runs) {
      await this.#calls.release(runId, workerId, { attempt }).catch(() => {});
    }
  }

  #begin(run: Run, sent: number): void {
    const performed = this.#perform(run, sent).then((end) => {
      this.#running.delete(performed);
      (this.#options.onEnd ?? warnIfLost)(run, end);
    });
    this.#running.add(performed);
  }

  /** Perform a run that was claimed. After the grace period the handler is stopped, and the run is given back. */
  async #perform(run: Run, sent: number): Promise<Executed | RunError> {
    const execution = started(this.#calls, run, this.#options, sent);
    const over = new AbortController();
    const abandoned = this.#shutdown.graceIsOver(over.signal).then(async () => {
      execution.release();
      await pause(STOPPING_MS, over.signal);
      return execution.abandon();
    });
    const performed = execution.supervised(async () => {
      const ended = execution.performClaimed(this.#handler).then((ending) => execution.finish(ending));
      return Promise.race([ended, abandoned]);
    });
    try {
      return await performed;
    } catch (error) {
      return RunError.from(error);
    } finally {
      over.abort();
    }
  }
}

function warnIfLost({ runId }: Run, end: Executed | RunError): void {
  const cause =
    end instanceof RunError ? end.message : end.outcome === "lost" ? "the run was lost" : undefined;
  if (cause === undefined) return;
  const message = `the work of run ${runId} was not stored: ${cause}`;
  process.emitWarning(message, { type: "RunsvcWarning", code: "RUNSVC_RUN_LOST" });
}
