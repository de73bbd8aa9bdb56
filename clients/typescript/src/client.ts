// The client: one method per call of the service. Every method throws a RunError.

import { type Client, createClient, type CallOptions as StubOptions } from "@connectrpc/connect";
import { Connection } from "./connection.js";
import { RunError } from "./errors.js";
import type { Executed, ExecuteOptions, Handler } from "./execution.js";
import { execute } from "./executor.js";
import { AdminService } from "./gen/runsvc/v1/admin_service_pb.js";
import type { Run, RunStatus } from "./gen/runsvc/v1/run_pb.js";
import {
  type AcknowledgeCancelResponse,
  type CancelResponse,
  type CompleteResponse,
  type CreateOrRejectResponse,
  type CreateResponse,
  type HasInflightResponse,
  RunService,
  type SetStatusResponse,
  type UpdateMetadataResponse,
  type UpdateProgressResponse,
} from "./gen/runsvc/v1/run_service_pb.js";
import { checkLength, durationOf } from "./lengths.js";
import type {
  AcknowledgeCancelOptions,
  AttemptOptions,
  CallOptions,
  CancelOptions,
  ClaimOptions,
  CompleteOptions,
  CreationOptions,
  ListOptions,
  MetadataChange,
  ProgressInit,
  RunSpecInit,
  SetStatusOptions,
  UpdateProgressOptions,
  WithRun,
} from "./options.js";
import { type ClientOptions, type Settings, settingsOf } from "./settings.js";
import { type Watch, type WatchOptions, type WatchTarget, watch } from "./watch.js";
import { Worker, type WorkerOptions } from "./worker.js";

/** The wait of a claim that sets none. */
const DEFAULT_WAIT_MS = 20_000;

/**
 * A client of runsvc. It connects with the first call. Close it after use.
 *
 * While the server is unavailable, reads and creations with a request id are sent up to four times within their
 * deadline; all other calls are sent once. Failed calls throw a {@link RunError}. A call whose signal is aborted throws
 * the reason of the signal.
 */
export class RunClient implements Disposable {
  /**
   * The generated client of the RunService, with the same deadlines and retries. It throws ConnectError, which
   * {@link RunError.from} converts.
   */
  readonly stub: Client<typeof RunService>;
  /** The generated client of the AdminService, with the same deadlines and retries. It throws ConnectError. */
  readonly admin: Client<typeof AdminService>;
  /** Default deadline of a call in milliseconds; 0 means none. */
  readonly timeoutMs: number;
  readonly #connection: Connection;
  readonly #settings: Settings;
  readonly #isView: boolean;

  /**
   * Create a client.
   *
   * @param target The address of the server, as `host:port`. Default: `RUNSVC_TARGET`, or {@link DEFAULT_TARGET}.
   * `null` ignores the variable.
   * @param options Other settings, such as the token.
   * @throws RangeError if the target or the timeout is invalid, or options contradict each other; the error of
   * `readFileSync` if the certificates cannot be read.
   */
  constructor(target?: string | null, options?: ClientOptions);
  /** @internal */
  constructor(view: Connection, settings: Settings);
  constructor(target?: string | null | Connection, options: ClientOptions | Settings = {}) {
    this.#isView = target instanceof Connection;
    this.#settings =
      target instanceof Connection
        ? (options as Settings)
        : settingsOf(target, options as ClientOptions, process.env);
    this.timeoutMs = this.#settings.timeoutMs;
    this.#connection = target instanceof Connection ? target : new Connection(this.#settings);
    this.stub = createClient(RunService, this.#connection);
    this.admin = createClient(AdminService, this.#connection);
  }

  /**
   * This client for the runs of one owner, on the same connections. A caller who may act for several owners narrows its
   * calls and watches in this way; an empty name means the runs of the platform itself. To close the view has no
   * effect.
   *
   * @throws RangeError if the name has characters that a header cannot carry.
   */
  forOwner(owner: string): RunClient {
    if (!/^[!-~]*$/.test(owner)) {
      throw new RangeError(`the owner ${JSON.stringify(owner)} has characters other than visible ASCII`);
    }
    return new RunClient(this.#connection.forOwner(this.#settings, owner), this.#settings);
  }

  /** Close the connections. Open calls and watches fail, and so do later calls. */
  close(): void {
    if (!this.#isView) this.#connection.close();
  }

  /** Close the client at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Create a run, even if its thread has active runs. */
  async create(spec: RunSpecInit, options: CreationOptions = {}): Promise<WithRun<CreateResponse>> {
    const request = { spec, requestId: options.requestId };
    return withRun(await callUnary(this.stub.create, request, options));
  }

  /**
   * Create a run if its `multitaskStrategy` admits it beside the active runs of its thread.
   *
   * @throws ThreadBusyError if the strategy rejects the run.
   */
  async createOrReject(
    spec: RunSpecInit,
    options: CreationOptions = {},
  ): Promise<WithRun<CreateOrRejectResponse>> {
    const request = { spec, requestId: options.requestId };
    return withRun(await callUnary(this.stub.createOrReject, request, options));
  }

  /** Return a run, with its kwargs. */
  async get(runId: string, options: CallOptions = {}): Promise<Run> {
    return withRun(await callUnary(this.stub.get, { runId }, options)).run;
  }

  /** Iterate over the runs of a thread, newest first. Each page is requested when its first run is needed. */
  async *listByThread(threadId: string, options: ListOptions = {}): AsyncGenerator<Run, undefined> {
    const { pageSize, statuses } = options;
    let pageToken = "";
    do {
      const request = { threadId, pageSize, statuses, pageToken };
      const page = await callUnary(this.stub.listByThread, request, options);
      yield* page.runs;
      pageToken = page.nextPageToken;
    } while (pageToken);
  }

  /** Return the ids of the active runs of a thread. */
  async hasInflight(threadId: string, options: CallOptions = {}): Promise<HasInflightResponse> {
    return callUnary(this.stub.hasInflight, { threadId }, options);
  }

  /**
   * Report the status of a run. RUNNING starts the run and makes the executor its holder; INTERRUPTED
   * acknowledges a cancel.
   */
  async setStatus(
    runId: string,
    status: RunStatus,
    options: SetStatusOptions = {},
  ): Promise<WithRun<SetStatusResponse>> {
    const { leaseTtlMs, timeoutMs, signal, ...report } = options;
    const leaseTtl = durationOf("leaseTtlMs", leaseTtlMs);
    const request = { runId, status, ...report, leaseTtl };
    return withRun(await callUnary(this.stub.setStatus, request, options));
  }

  /** Report the end of a run: a terminal status, with an error text or a result, a stop reason and the final usage. */
  async complete(
    runId: string,
    status: RunStatus,
    options: CompleteOptions = {},
  ): Promise<WithRun<CompleteResponse>> {
    const { timeoutMs, signal, ...report } = options;
    const request = { runId, status, ...report };
    return withRun(await callUnary(this.stub.complete, request, options));
  }

  /** Report usage. If the response is not `applied`, its run shows the reason, for example a cancel. */
  async updateProgress(
    runId: string,
    progress: ProgressInit,
    options: UpdateProgressOptions = {},
  ): Promise<WithRun<UpdateProgressResponse>> {
    const { workerId, attempt, sequence, final } = options;
    const request = { runId, progress, workerId, attempt, sequence, final };
    return withRun(await callUnary(this.stub.updateProgress, request, options));
  }

  /** Set the model name of an active run; undefined clears it. */
  async updateModelName(
    runId: string,
    modelName: string | undefined,
    options: CallOptions = {},
  ): Promise<Run> {
    return withRun(await callUnary(this.stub.updateModelName, { runId, modelName }, options)).run;
  }

  /** Set and remove top-level keys of a run's metadata, at any time, also after its end. */
  async updateMetadata(
    runId: string,
    change: MetadataChange,
    options: CallOptions = {},
  ): Promise<WithRun<UpdateMetadataResponse>> {
    return withRun(await callUnary(this.stub.updateMetadata, { runId, ...change }, options));
  }

  /** Renew the lease of the holder. If the returned run is INTERRUPTED, it was cancelled. */
  async heartbeat(runId: string, workerId: string, options: AttemptOptions = {}): Promise<Run> {
    const request = { runId, workerId, attempt: options.attempt };
    return withRun(await callUnary(this.stub.heartbeat, request, options)).run;
  }

  /**
   * Ask for PENDING runs, which become RUNNING under this worker id. Waits for a run if there is none. The deadline
   * counts from the end of this wait. With a `requestId`, the call can be retried.
   */
  async claim(workerId: string, options: ClaimOptions): Promise<Run[]> {
    const { assistantIds, maxRuns, leaseTtlMs, waitMs, requestId, signal } = options;
    const leaseTtl = durationOf("leaseTtlMs", leaseTtlMs);
    const wait = durationOf("waitMs", waitMs);
    const target = assistantIds ? { assistantIds } : { anyAssistant: true };
    const deadline = options.timeoutMs ?? this.timeoutMs;
    const timeoutMs = deadline === 0 ? 0 : deadline + (waitMs ?? DEFAULT_WAIT_MS);
    const request = { workerId, ...target, maxRuns, leaseTtl, wait, requestId };
    return (await callUnary(this.stub.claim, request, { timeoutMs, signal })).runs;
  }

  /** Give a run back: it becomes PENDING again, and the attempt does not count. */
  async release(runId: string, workerId: string, options: AttemptOptions = {}): Promise<Run> {
    const request = { runId, workerId, attempt: options.attempt };
    return withRun(await callUnary(this.stub.release, request, options)).run;
  }

  /**
   * Create a worker, which claims runs and performs them with the handler. It begins with {@link Worker.run}.
   *
   * @throws RangeError if an option is invalid.
   */
  worker(options: WorkerOptions, handler: Handler): Worker {
    return new Worker(this, options, handler);
  }

  /** Cancel a run. `outcome` distinguishes a run that this call cancelled from one that had ended before. */
  async cancel(runId: string, options: CancelOptions = {}): Promise<WithRun<CancelResponse>> {
    const { action, note } = options;
    return withRun(await callUnary(this.stub.cancel, { runId, action, note }, options));
  }

  /** Report that the executor of a cancelled run has stopped. */
  async acknowledgeCancel(
    runId: string,
    options: AcknowledgeCancelOptions = {},
  ): Promise<WithRun<AcknowledgeCancelResponse>> {
    const { workerId, attempt, progress, stopReason } = options;
    const request = { runId, workerId, attempt, progress, stopReason };
    return withRun(await callUnary(this.stub.acknowledgeCancel, request, options));
  }

  /**
   * Watch a run, a thread or all runs. The watch reconnects by itself and resumes after its last revision, with no gap
   * and no repeat. The watch of a run ends after the terminal change of the run. Leaving the loop ends the stream on
   * the server.
   */
  watch(target: WatchTarget, options: WatchOptions = {}): Watch {
    return watch(this.stub, this.#connection, target, options);
  }

  /**
   * Execute a run: start it, read its kwargs, call the handler, send heartbeats while the handler runs, and report the
   * end.
   *
   * What the handler returns is reported as result, stop reason and final usage of a SUCCESS, an error that it throws
   * as an ERROR. When others end the run, the signal of the execution is aborted and the handler should stop; a cancel
   * is then acknowledged.
   *
   * While no server answers, the handler keeps running, and so do the attempts to send heartbeats: an outage of the
   * server does not count towards the lease. The report of the end is retried for the length of the lease, and for at
   * least 60 seconds.
   *
   * @returns the result of the execution. An error of the handler is part of the result.
   * @throws RunError if the start was refused, or if a report failed for another reason than the end of the run.
   */
  execute(runId: string, options: ExecuteOptions, handler: Handler): Promise<Executed> {
    return execute(this, runId, options, handler);
  }
}

async function callUnary<Request, Response>(
  method: (request: Request, options?: StubOptions) => Promise<Response>,
  request: Request,
  { timeoutMs, signal }: CallOptions,
): Promise<Response> {
  if (timeoutMs !== undefined) checkLength("timeoutMs", timeoutMs);
  try {
    return await method(request, { timeoutMs, signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw RunError.from(error);
  }
}

function withRun<T extends { run?: Run }>(response: T): WithRun<T> {
  if (response.run === undefined) throw new TypeError("the response of the server has no run");
  return response as WithRun<T>;
}
