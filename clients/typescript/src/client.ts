// The client: one method per call, which returns what matters or throws a RunError.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, createClient, type CallOptions as StubOptions } from "@connectrpc/connect";
import { Connection } from "./connection.js";
import { RunError } from "./errors.js";
import { type Body, type Executed, type ExecutionOptions, execute } from "./execution.js";
import { AdminService } from "./gen/runsvc/v1/admin_service_pb.js";
import type { CancelAction, ProgressSchema, Run, RunSpecSchema, RunStatus } from "./gen/runsvc/v1/run_pb.js";
import {
  type AcknowledgeCancelResponse,
  type CancelResponse,
  type CompleteResponse,
  type CreateOrRejectResponse,
  type CreateResponse,
  type HasInflightResponse,
  RunService,
  type SetStatusResponse,
  type UpdateProgressResponse,
} from "./gen/runsvc/v1/run_service_pb.js";
import { type ClientOptions, settingsOf } from "./settings.js";
import { type Watch, type WatchOptions, type WatchTarget, watch } from "./watch.js";

/** What a run is created from; a thread_id is all it needs. */
export type RunSpecInit = MessageInitShape<typeof RunSpecSchema>;

/** Usage: the fields that are set are merged. */
export type ProgressInit = MessageInitShape<typeof ProgressSchema>;

/** What every call takes. */
export interface CallOptions {
  /** Deadline of this call in milliseconds; 0: none. Unset: the client's. */
  timeoutMs?: number;
  /** Gives the call up. It may have taken effect. */
  signal?: AbortSignal;
}

/** Of Create and CreateOrReject. */
export interface CreationOptions extends CallOptions {
  /** Makes a retry safe, also the client's own: the same id with the same spec returns the run of the first call. */
  requestId?: string;
}

/** Of a page iterator. */
export interface ListOptions extends CallOptions {
  /** How many runs a call asks for; 100 unless told, 500 at most. */
  pageSize?: number;
  /** Only runs with one of these. Unset: all. */
  statuses?: RunStatus[];
}

/** Of an executor's report. */
export interface ReportOptions extends CallOptions {
  /** Who reports. Required on a run that has a holder. */
  workerId?: string;
}

/** An answer that has a run in any case. */
export type WithRun<T extends { run?: Run }> = T & { run: Run };

/**
 * A client of runsvc. It connects with the first call; close it when done.
 *
 * Reads, and creations with a request id, are made again while the server is unavailable and their deadline lasts;
 * nothing else is sent twice. What is refused is thrown as a RunError. An aborted signal throws its reason.
 */
export class RunClient implements Disposable {
  /** The generated client below, with the same deadlines and retries; it throws ConnectError (see RunError.from). */
  readonly stub: Client<typeof RunService>;
  /** The same of the AdminService. */
  readonly admin: Client<typeof AdminService>;
  /** Deadline in milliseconds of a call that is given none; 0: none. */
  readonly timeoutMs: number;
  readonly #connection: Connection;

  /**
   * @param target host:port. Unset: RUNSVC_TARGET, else where `runsvc serve` listens unless told otherwise. `null`: the
   * latter in any case.
   */
  constructor(target?: string | null, options: ClientOptions = {}) {
    const settings = settingsOf(target, options, process.env);
    this.timeoutMs = settings.timeoutMs;
    this.#connection = new Connection(settings);
    this.stub = createClient(RunService, this.#connection);
    this.admin = createClient(AdminService, this.#connection);
  }

  /** End every call and watch of this client. Calls made later fail. */
  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Create a run, beside any that the thread has. */
  async create(spec: RunSpecInit, options: CreationOptions = {}): Promise<WithRun<CreateResponse>> {
    const request = { spec, requestId: options.requestId };
    return withRun(await answered(this.stub.create, request, options));
  }

  /** Create a run if its multitask_strategy admits it beside those that the thread has: THREAD_BUSY if not. */
  async createOrReject(
    spec: RunSpecInit,
    options: CreationOptions = {},
  ): Promise<WithRun<CreateOrRejectResponse>> {
    const request = { spec, requestId: options.requestId };
    return withRun(await answered(this.stub.createOrReject, request, options));
  }

  /** A run, with its kwargs. */
  async get(runId: string, options: CallOptions = {}): Promise<Run> {
    return withRun(await answered(this.stub.get, { runId }, options)).run;
  }

  /** A thread's runs, newest first, read a page at a time. */
  async *listByThread(threadId: string, options: ListOptions = {}): AsyncGenerator<Run, undefined> {
    const { pageSize, statuses } = options;
    let pageToken = "";
    do {
      const request = { threadId, pageSize, statuses, pageToken };
      const page = await answered(this.stub.listByThread, request, options);
      yield* page.runs;
      pageToken = page.nextPageToken;
    } while (pageToken);
  }

  /** Whether the thread has active runs, and which. */
  async hasInflight(threadId: string, options: CallOptions = {}): Promise<HasInflightResponse> {
    return answered(this.stub.hasInflight, { threadId }, options);
  }

  /** Report a status. RUNNING is the start, and makes the worker the holder. */
  async setStatus(
    runId: string,
    status: RunStatus,
    options: ReportOptions & { error?: string; leaseTtlMs?: number } = {},
  ): Promise<WithRun<SetStatusResponse>> {
    const { workerId, error, leaseTtlMs } = options;
    const leaseTtl = leaseTtlMs === undefined ? undefined : durationFromMs(leaseTtlMs);
    const request = { runId, status, workerId, error, leaseTtl };
    return withRun(await answered(this.stub.setStatus, request, options));
  }

  /** Report the end: a terminal status, what went wrong, and the final usage. */
  async complete(
    runId: string,
    status: RunStatus,
    options: ReportOptions & { error?: string; progress?: ProgressInit } = {},
  ): Promise<WithRun<CompleteResponse>> {
    const { workerId, error, progress } = options;
    const request = { runId, status, workerId, error, progress };
    return withRun(await answered(this.stub.complete, request, options));
  }

  /** Report usage. Where it is not `applied`, the run says why: it may have been cancelled. */
  async updateProgress(
    runId: string,
    progress: ProgressInit,
    options: ReportOptions & { sequence?: bigint; final?: boolean } = {},
  ): Promise<WithRun<UpdateProgressResponse>> {
    const { workerId, sequence, final } = options;
    const request = { runId, progress, workerId, sequence, final };
    return withRun(await answered(this.stub.updateProgress, request, options));
  }

  /** Set the model's name; undefined clears it. */
  async updateModelName(
    runId: string,
    modelName: string | undefined,
    options: CallOptions = {},
  ): Promise<Run> {
    return withRun(await answered(this.stub.updateModelName, { runId, modelName }, options)).run;
  }

  /** Renew the worker's lease. An INTERRUPTED run in the answer is a cancel. */
  async heartbeat(runId: string, workerId: string, options: CallOptions = {}): Promise<Run> {
    return withRun(await answered(this.stub.heartbeat, { runId, workerId }, options)).run;
  }

  /** Cancel a run. `outcome` says whether this call did it. */
  async cancel(
    runId: string,
    options: CallOptions & { action?: CancelAction; note?: string } = {},
  ): Promise<WithRun<CancelResponse>> {
    const { action, note } = options;
    return withRun(await answered(this.stub.cancel, { runId, action, note }, options));
  }

  /** Report that the executor of a cancelled run has stopped, with its final usage. */
  async acknowledgeCancel(
    runId: string,
    options: ReportOptions & { progress?: ProgressInit } = {},
  ): Promise<WithRun<AcknowledgeCancelResponse>> {
    const { workerId, progress } = options;
    return withRun(await answered(this.stub.acknowledgeCancel, { runId, workerId, progress }, options));
  }

  /**
   * Watch a run, a thread or all runs. The watch resumes where it was cut off, with no gap and no repeat; the watch of a
   * run ends after its terminal change. Leaving the loop ends the server's stream.
   */
  watch(target: WatchTarget, options: WatchOptions = {}): Watch {
    return watch(this.stub, target, options);
  }

  /**
   * Be the executor of a run: start it, run the body, keep its lease, tell the body to stop when others have ended the
   * run, and report how it ended. What the body throws is reported and returned; thrown is what the server refused.
   *
   * While there is no server the work goes on, however long, for time in which none serves counts for no lease: only an
   * answer stops it. The report of the end is repeated for as long as the lease, but at least a minute.
   */
  execute(runId: string, options: ExecutionOptions, body: Body): Promise<Executed> {
    return execute(this, runId, options, body);
  }
}

async function answered<Request, Response>(
  method: (request: Request, options?: StubOptions) => Promise<Response>,
  request: Request,
  { timeoutMs, signal }: CallOptions,
): Promise<Response> {
  try {
    return await method(request, { timeoutMs, signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw RunError.from(error);
  }
}

function withRun<T extends { run?: Run }>(response: T): WithRun<T> {
  if (response.run === undefined) throw new TypeError("the server's answer has no run");
  return response as WithRun<T>;
}
