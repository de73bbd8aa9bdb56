// A run in progress: its handler, its reports, and what stops it.

import { create, type JsonObject } from "@bufbuild/protobuf";
import { Backoff, pause } from "./backoff.js";
import { RunError } from "./errors.js";
import type { Executed, Execution, Handler } from "./execution.js";
import type { ExecutorCalls } from "./executorCalls.js";
import { ProgressSchema, type Run, RunStatus, StatusEvent } from "./gen/runsvc/v1/run_pb.js";
import { warnIfLate } from "./lateness.js";
import type { ProgressInit } from "./options.js";
import { dropRejected, type End, isEmpty, mergedProgress, readOutcome, unsendable } from "./outcome.js";
import {
  errorText,
  isOutage,
  isRefusal,
  isRetryable,
  isTransient,
  orRefusal,
  retryReport,
} from "./report.js";
import { isTerminal } from "./status.js";

/** The error that a handler threw, if any. */
type Ending = { error?: unknown };

/** How a run in progress is supervised. */
interface Supervision {
  readonly workerId: string | undefined;
  /** The length of the lease in milliseconds; 0 if there is none. */
  readonly ttlMs: number;
  readonly fence: boolean;
}

export class RunningExecution implements Execution {
  readonly run: Run;
  readonly signal: AbortSignal;
  readonly #calls: ExecutorCalls;
  readonly #supervision: Supervision;
  readonly #options: { workerId: string | undefined; attempt: number | undefined };
  readonly #retryMs: number;
  readonly #stop = new AbortController();
  #usage = create(ProgressSchema);
  #result: JsonObject | undefined;
  #stopReason: string | undefined;
  #end: Run | RunError | undefined;
  /** When the last confirmed renewal of the lease was sent. */
  #renewedAt: number;
  #fenced = false;
  #released = false;
  // The time in nanoseconds is above every number that an earlier process with the same worker id has sent.
  #sequence = BigInt(Date.now()) * 1_000_000n;
  #lastReport: Promise<unknown> = Promise.resolve();

  constructor(calls: ExecutorCalls, run: Run, supervision: Supervision, retryMs: number, began: number) {
    this.#calls = calls;
    this.run = run;
    this.signal = this.#stop.signal;
    this.#supervision = supervision;
    // A server without attempts counts none.
    this.#options = { workerId: supervision.workerId, attempt: run.attempt || undefined };
    this.#retryMs = retryMs;
    this.#renewedAt = began;
  }

  get ended(): Run | undefined {
    return this.#end instanceof RunError ? undefined : this.#end;
  }

  // A property instead of a method, so that a handler can destructure it.
  readonly report = async (progress: ProgressInit): Promise<boolean> => {
    // Reports are sent one after the other, because each contains the progress of those before.
    const applied = this.#lastReport.then(() => this.#update(progress));
    this.#lastReport = applied.catch(() => {});
    return applied;
  };

  readonly setStopReason = (reason: string): void => {
    this.#stopReason = reason;
  };

  async #update(progress: ProgressInit): Promise<boolean> {
    const total = mergedProgress(this.#usage, progress);
    this.#sequence += 1n;
    const options = { ...this.#options, sequence: this.#sequence };
    let applied = false;
    try {
      const answer = await this.#calls.updateProgress(this.run.runId, total, options);
      applied = answer.applied;
      this.#check(answer.run);
    } catch (thrown) {
      const error = RunError.from(thrown);
      if (isRefusal(error)) this.#stopFor(error);
      else if (!isOutage(error)) throw error;
    }
    this.#usage = mergedProgress(this.#usage, total);
    return applied;
  }

  /** Watch the run and renew its lease while the work is in progress. */
  async supervised<T>(work: () => Promise<T>): Promise<T> {
    const { workerId, ttlMs, fence } = this.#supervision;
    const finished = new AbortController();
    const supervision = [
      this.#watch(finished.signal),
      workerId && ttlMs && this.#keepLease(ttlMs, workerId, finished.signal),
      fence && ttlMs && this.#enforceFence(ttlMs, finished.signal),
    ];
    try {
      return await work();
    } finally {
      finished.abort();
      await Promise.all(supervision);
    }
  }

  /** Watch the run, to stop the handler as soon as others end the run. */
  async #watch(finished: AbortSignal): Promise<void> {
    const backoff = new Backoff();
    const target = { runId: this.run.runId };
    while (!finished.aborted && !this.#end) {
      try {
        const options = { signal: finished, outageMs: Number.POSITIVE_INFINITY };
        for await (const { event, run } of this.#calls.watch(target, options)) {
          if (run) this.#check(run, event);
        }
      } catch (thrown) {
        if (finished.aborted) return;
        const error = RunError.from(thrown);
        if (isRefusal(error)) this.#stopFor(error);
        // Any other error is repaired by a new watch, which starts with a snapshot.
        else await pause(backoff.pauseAfter(error), finished);
      }
    }
  }

  /**
   * Send a heartbeat every third of the lease, during an outage too. The lease of a cancelled run is renewed until the
   * cancel is acknowledged.
   */
  async #keepLease(ttlMs: number, workerId: string, finished: AbortSignal): Promise<void> {
    const backoff = new Backoff();
    const { runId } = this.run;
    for (let milliseconds = ttlMs / 3; !this.#end || this.#isCancelled(this.#end); ) {
      const due = performance.now() + milliseconds;
      await pause(milliseconds, finished);
      warnIfLate(runId, performance.now() - due, ttlMs);
      if (finished.aborted) return;
      const sent = performance.now();
      const timeoutMs = Math.min(ttlMs / 3, this.#calls.timeoutMs || ttlMs);
      try {
        const options = { timeoutMs, signal: finished, attempt: this.#options.attempt };
        this.#check(await this.#calls.heartbeat(runId, workerId, options));
        this.#renewedAt = sent;
        backoff.reset();
        milliseconds = ttlMs / 3;
      } catch (thrown) {
        if (finished.aborted) return;
        const error = RunError.from(thrown);
        if (isRefusal(error)) return this.#stopFor(error);
        milliseconds = Math.min(backoff.pauseAfter(error), ttlMs / 3);
      } finally {
        // A call takes longer than its timeout only if the event loop was blocked.
        warnIfLate(runId, performance.now() - sent - timeoutMs, ttlMs);
      }
    }
  }

  /** Stop the handler when the lease, counted from the last confirmed renewal, may be over. */
  async #enforceFence(ttlMs: number, finished: AbortSignal): Promise<void> {
    while (!finished.aborted && !this.#end) {
      const remaining = this.#renewedAt + ttlMs - performance.now();
      if (remaining <= 0) {
        this.#fenced = true;
        return this.#abort("no heartbeat was confirmed for the length of the lease");
      }
      await pause(remaining, finished);
    }
  }

  /** Add the kwargs to the run. The response to the start omits them. */
  async #readKwargs(): Promise<void> {
    const read = retryReport(() => this.#calls.get(this.run.runId), this.#retryMs);
    const found = await orRefusal(read);
    if (found instanceof RunError) {
      this.#stopFor(found);
      throw found;
    }
    this.run.kwargs = found.kwargs;
  }

  /** Read the kwargs, and call the handler. Never rejects. */
  async perform(handler: Handler): Promise<Ending> {
    try {
      await this.#readKwargs();
    } catch (error) {
      return { error };
    }
    return this.performClaimed(handler);
  }

  /** Call the handler of a run that has its kwargs. Never rejects. */
  async performClaimed(handler: Handler): Promise<Ending> {
    try {
      const { usages, result, stopReason } = readOutcome((await handler(this)) ?? undefined);
      for (const usage of usages) this.#usage = mergedProgress(this.#usage, usage);
      this.#result = result;
      this.#stopReason = stopReason ?? this.#stopReason;
      return {};
    } catch (error) {
      return { error };
    }
  }

  /** Report the end of the handler. Acknowledges a cancel instead, and reports only the usage of a lost run. */
  async finish(result: Ending): Promise<Executed> {
    // A handler that the fence has stopped did not do its work, even if it returned.
    const ending = this.#fenced && !("error" in result) ? { error: this.signal.reason } : result;
    const end = this.#endOf(ending);
    if (this.#released && !this.#end) return this.#giveBack(end);
    const completed = this.#end ?? (await orRefusal(this.#complete(end)));
    if ("outcome" in completed) return completed;
    const cause = this.#isCancelled(completed) ? await orRefusal(this.#acknowledge(end)) : completed;
    if ("outcome" in cause) return cause;
    await this.#reportLostUsage();
    return { outcome: "lost", cause, ...ending };
  }

  /**
   * Report the usage of a lost run, once. The server refuses it if the run has another holder; the result is ignored.
   */
  async #reportLostUsage(): Promise<void> {
    const usage = this.#usage;
    const options = { ...this.#options, final: true };
    if (!isEmpty(usage)) await this.#calls.updateProgress(this.run.runId, usage, options).catch(() => {});
  }

  /** Stop the handler, whose run is given back then. */
  release(): void {
    this.#released = true;
    this.#abort("its worker shuts down");
  }

  /** Give the run back although its handler is still running. */
  async abandon(): Promise<Executed> {
    return this.#giveBack(this.#endOf({}));
  }

  /**
   * Give the run back, after a report of the usage so far. Retried for the timeout of one call: a worker that shuts
   * down does not wait long, and the lease gives the run back too.
   */
  async #giveBack(end: End): Promise<Executed> {
    const { workerId = "", attempt } = this.#options;
    const { runId } = this.run;
    if (end.progress) await this.#calls.updateProgress(runId, end.progress, this.#options).catch(() => {});
    const send = () => this.#calls.release(runId, workerId, { attempt });
    const run = await orRefusal(retryReport(send, this.#calls.timeoutMs, isTransient));
    if (!(run instanceof RunError)) return { outcome: "released", run, ...end.failure };
    const cause = this.#isCancelled(run) ? await orRefusal(this.#acknowledge(end)) : run;
    return "outcome" in cause ? cause : { outcome: "lost", cause, ...end.failure };
  }

  #endOf(failure: Ending): End {
    return {
      progress: isEmpty(this.#usage) ? undefined : this.#usage,
      result: "error" in failure ? undefined : this.#result,
      stopReason: this.#stopReason,
      failure,
    };
  }

  /** Report the end. If the server rejects its contents, report the end without them. */
  async #complete(end: End): Promise<Executed> {
    const send = () => this.#completeWith(end);
    const { run, rejection } = await this.#sendEnd(end, send);
    if (this.#fenced) return { outcome: "fenced", run, ...end.failure };
    if ("error" in end.failure) return { outcome: "failed", run, error: end.failure.error };
    return { outcome: "completed", run, ...(rejection && { rejection }) };
  }

  #completeWith({ failure, ...parts }: End): Promise<{ run: Run }> {
    const failed = "error" in failure;
    const status = failed ? RunStatus.ERROR : RunStatus.SUCCESS;
    const error = failed ? errorText(failure.error) : undefined;
    const retryable = failed && isRetryable(failure.error);
    return this.#calls.complete(this.run.runId, status, { ...this.#options, ...parts, error, retryable });
  }

  /** Acknowledge the cancel. If the server rejects the contents, acknowledge the cancel without them. */
  async #acknowledge(end: End): Promise<Executed> {
    end.result = undefined;
    const send = () => {
      const { progress, stopReason } = end;
      return this.#calls.acknowledgeCancel(this.run.runId, { ...this.#options, progress, stopReason });
    };
    const { run, rejection } = await this.#sendEnd(end, send);
    return { outcome: "cancelled", run, ...(rejection && { error: rejection }), ...end.failure };
  }

  async #sendEnd(end: End, send: () => Promise<{ run: Run }>): Promise<{ run: Run; rejection?: RunError }> {
    let rejection = unsendable(end);
    if (rejection) dropRejected(end, rejection);
    for (;;) {
      try {
        const { run } = await retryReport(send, this.#retryMs);
        // The response to a report omits them.
        run.kwargs = this.run.kwargs;
        return { run, ...(rejection && { rejection }) };
      } catch (thrown) {
        const error = RunError.from(thrown);
        if (!dropRejected(end, error)) throw error;
        rejection ??= error;
      }
    }
  }

  #check(run: Run, event?: StatusEvent): void {
    // PENDING again, after an attempt whose lease was over.
    const isRepeated = run.status === RunStatus.PENDING && run.attempt > 0;
    if (isTerminal(run.status) || isRepeated || this.#isOtherAttempt(run) || event === StatusEvent.DELETED)
      this.#stopFor(run);
  }

  #isOtherAttempt({ attempt }: Run): boolean {
    return attempt > 0 && attempt !== this.run.attempt;
  }

  #isCancelled(end: Run | RunError): boolean {
    if (end instanceof RunError) return end.metadata.from === "INTERRUPTED";
    return end.status === RunStatus.INTERRUPTED && !this.#isOtherAttempt(end);
  }

  /** Stop the handler. The first cause stays. */
  #stopFor(end: Run | RunError): void {
    this.#end ??= end;
    const cause = end instanceof RunError ? end.message : `its status is ${RunStatus[end.status]}`;
    this.#abort(cause);
  }

  #abort(cause: string): void {
    this.#stop.abort(new DOMException(`run ${this.run.runId} was stopped: ${cause}`, "AbortError"));
  }
}
