// A watch that outlives its connection.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code } from "@connectrpc/connect";
import { pause } from "./backoff.js";
import { isFromOurs, RunError } from "./errors.js";
import { type Run, RunStatus, StatusEvent } from "./gen/runsvc/v1/run_pb.js";
import {
  type RunService,
  type StreamStatusRequest,
  StreamStatusRequestSchema,
  type StreamStatusResponse,
} from "./gen/runsvc/v1/run_service_pb.js";
import { Outage } from "./outage.js";
import { isTerminal } from "./status.js";

const DEFAULT_OUTAGE_MS = 60_000;

/** What to watch: a run, the runs of a thread, or all runs (perhaps of one assistant), also those still to come. */
export type WatchTarget = { runId: string } | { threadId: string } | { all: { assistantId?: string } };

/** From where on to watch, and how. */
export interface WatchOptions {
  /** Start with the first change after this revision, without a snapshot. Unset: with a snapshot. */
  afterRevision?: bigint;
  /** The store that afterRevision belongs to. Unset: not checked. */
  storeId?: string;
  /** Also PROGRESS. */
  includeProgress?: boolean;
  /** Longest silence of the server in milliseconds, 1 to 300 seconds; 15 seconds unless told. */
  heartbeatIntervalMs?: number;
  /** Count this watch as the run's client. Only of a run. */
  attach?: boolean;
  /** Go on to the acknowledgement of a cancel, while one can come. Only of a run. */
  untilAcknowledged?: boolean;
  /** How long to go on without a server before its error is the watch's, in milliseconds; 60 seconds unless told. */
  outageMs?: number;
  /** Ends the watch with its reason. */
  signal?: AbortSignal;
}

/** A watch on its way. Leaving its loop, by whatever way, ends the server's stream. */
export type Watch = AsyncIterableIterator<StreamStatusResponse> & AsyncDisposable;

/** Open a watch. It connects with the first step of its loop. */
export function watch(runs: Client<typeof RunService>, target: WatchTarget, options: WatchOptions): Watch {
  const { signal } = options;
  const left = new AbortController();
  const abort = () => left.abort();
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  const release = () => {
    left.abort();
    signal?.removeEventListener("abort", abort);
  };
  const events = follow(runs, requestOf(target, options), options, left.signal, release);
  // A generator by itself would leave only once its next event has come.
  const leave = async () => {
    release();
    return events.return(undefined);
  };
  return {
    next: () => events.next(),
    return: leave,
    [Symbol.asyncIterator]() {
      return this;
    },
    async [Symbol.asyncDispose]() {
      await leave();
    },
  };
}

async function* follow(
  runs: Client<typeof RunService>,
  request: StreamStatusRequest,
  { outageMs = DEFAULT_OUTAGE_MS, signal }: WatchOptions,
  left: AbortSignal,
  release: () => void,
): AsyncGenerator<StreamStatusResponse, undefined> {
  const end = new End(request);
  const outage = new Outage(outageMs);
  try {
    while (!left.aborted) {
      outage.opening();
      try {
        for await (const event of runs.streamStatus(request, { signal: left })) {
          outage.heard();
          advance(request, event);
          end.heard(event);
          yield event;
        }
        return;
      } catch (error) {
        if (left.aborted) break;
        const failure = RunError.from(error);
        if (!isCut(failure)) throw failure;
        // The server was asked once more for the end that it had no time to tell.
        if (end.isOver && outage.isOn) return;
        await pause(outage.cut(failure), left);
      }
    }
    signal?.throwIfAborted();
  } finally {
    release();
  }
}

/** Whether anything that was asked for can follow. */
class End {
  readonly #request: StreamStatusRequest;
  /** The run is as it will be for ever. */
  #ends = false;
  isOver = false;

  constructor(request: StreamStatusRequest) {
    this.#request = request;
  }

  heard({ event, run }: StreamStatusResponse): void {
    const { target, untilAcknowledged } = this.#request;
    if (target.case !== "runId") return;
    if (run) {
      const ended = isTerminal(run.status) && !(untilAcknowledged && awaitsAcknowledgement(run));
      this.#ends = ended || event === StatusEvent.DELETED;
    }
    this.isOver = this.#ends && event !== StatusEvent.SNAPSHOT;
  }
}

function awaitsAcknowledgement({ status, cancellation }: Run): boolean {
  return status === RunStatus.INTERRUPTED && !cancellation?.acknowledgedAt;
}

/** Let the request ask for what comes after the event. */
function advance(request: StreamStatusRequest, event: StreamStatusResponse): void {
  // Without a position yet, a snapshot that was cut off is given anew.
  if (event.revision !== 0n || event.event === StatusEvent.SNAPSHOT_END)
    request.afterRevision = event.revision;
  if (event.storeId) request.storeId = event.storeId;
}

/** Whether the stream was cut off rather than refused: some transports say INTERNAL or CANCELLED of a lost connection. */
function isCut(failure: RunError): boolean {
  const { code } = failure;
  if (code === Code.Unavailable) return true;
  return (code === Code.Internal || code === Code.Canceled) && !isFromOurs(failure);
}

function requestOf(target: WatchTarget, options: WatchOptions): StreamStatusRequest {
  const { afterRevision, storeId, includeProgress, heartbeatIntervalMs, attach, untilAcknowledged } = options;
  return create(StreamStatusRequestSchema, {
    target: targetOf(target),
    afterRevision,
    storeId,
    includeProgress,
    heartbeatInterval: heartbeatIntervalMs === undefined ? undefined : durationFromMs(heartbeatIntervalMs),
    attach,
    untilAcknowledged,
  });
}

function targetOf(
  target: WatchTarget,
): MessageInitShape<typeof StreamStatusRequestSchema>["target"] & object {
  if ("runId" in target) return { case: "runId", value: target.runId };
  if ("threadId" in target) return { case: "threadId", value: target.threadId };
  return target.all && { case: "all", value: target.all };
}
