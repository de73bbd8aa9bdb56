// A run in progress: its handler, its reports, and what stops it.

import { create, type JsonObject } from "@bufbuild/protobuf";
import { Backoff, pause } from "./backoff.js";
import { RunError } from "./errors.js";
import type { Executed, Execution, Handler } from "./execution.js";
import { ProgressSchema, type Run, RunStatus, StatusEvent } from "./gen/runsvc/v1/run_pb.js";
import { warnIfLate } from "./lateness.js";
import type {
  AcknowledgeCancelOptions,
  CallOptions,
  CompleteOptions,
  ProgressInit,
  SetStatusOptions,
  UpdateProgressOptions,
} from "./options.js";
import { dropRejected, type End, isEmpty, mergedProgress, readOutcome, unsendable } from "./outcome.js";
import { errorText, isOutage, isRefusal, orRefusal, retryReport } from "./report.js";
import { isTerminal } from "./status.js";
import type { Watch, WatchOptions, WatchTarget } from "./watch.js";

/** The calls that an execution makes. RunClient implements them. */
export interface ExecutorCalls {
  readonly timeoutMs: number;
  setStatus(runId: string, status: RunStatus, options: SetStatusOptions): Promise<{ run: Run }>;
  complete(runId: string, status: RunStatus, options: CompleteOptions): Promise<{ run: Run }>;
  updateProgress(
    runId: string,
    progress: ProgressInit,
    options: UpdateProgressOptions,
  ): Promise<{ run: Run; applied: boolean }>;
  acknowledgeCancel(runId: string, options: AcknowledgeCancelOptions): Promise<{ run: Run }>;
  get(runId: string): Promise<Run>;
  heartbeat(runId: string, workerId: string, options: CallOptions): Promise<Run>;
  watch(target: WatchTarget, options: WatchOptions): Watch;
}

/** The error that a handler threw, if any. */
type Ending = { error?: unknown };

export class RunningExecution implements Execution {
  readonly run: Run;
  readonly signal: AbortSignal;
  readonly #calls: ExecutorCalls;
  readonly #options: { workerId: string | undefined };
  readonly #retryMs: number;
  readonly #stop = new AbortController();
  #usage = create(ProgressSchema);
  #result: JsonObject | undefined;
  #stopReason: string | undefined;
  #end: Run | RunError | undefined;
  /** When the last confirmed renewal of the lease was sent. */
  #renewedAt: number;
  #fenced = false;
  // The time in nanoseconds is above every number that an earlier process with the same worker id has sent.
  #sequence = BigInt(Date.now()) * 1_000_000n;
  #lastReport: Promise<unknown> = Promise.resolve();

  constructor(calls: ExecutorCalls, run: Run, workerId: string | undefined, retryMs: number, began: number) {
    this.#calls = calls;
    this.run = run;
    this.signal = this.#stop.signal;
    this.#options = { workerId };
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

  /** Watch the run, to stop the handler as soon as others end the run. */
  async watch(finished: AbortSignal): Promise<void> {
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
  async keepLease(ttlMs: number, workerId: string, finished: AbortSignal): Promise<void> {
    const backoff = new Backoff();
    const { runId } = this.run;
    for (let milliseconds = ttlMs / 3; !this.#end || isCancelled(this.#end); ) {
      const due = performance.now() + milliseconds;
      await pause(milliseconds, finished);
      warnIfLate(runId, performance.now() - due, ttlMs);
      if (finished.aborted) return;
      const sent = performance.now();
      const timeoutMs = Math.min(ttlMs / 3, this.#calls.timeoutMs || ttlMs);
      try {
        const options = { timeoutMs, signal: finished };
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
  async enforceFence(ttlMs: number, finished: AbortSignal): Promise<void> {
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
    const completed = this.#end ?? (await orRefusal(this.#complete(end)));
    if ("outcome" in completed) return completed;
    const cause = isCancelled(completed) ? await orRefusal(this.#acknowledge(end)) : completed;
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
    return this.#calls.complete(this.run.runId, status, { ...this.#options, ...parts, error });
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
    if (isTerminal(run.status) || event === StatusEvent.DELETED) this.#stopFor(run);
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

function isCancelled(end: Run | RunError): boolean {
  return end instanceof RunError ? end.metadata.from === "INTERRUPTED" : end.status === RunStatus.INTERRUPTED;
}
