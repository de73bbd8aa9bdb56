// A watch that outlives its connection.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code } from "@connectrpc/connect";
import { Backoff, pause } from "./backoff.js";
import { RunError } from "./errors.js";
import { StatusEvent } from "./gen/runsvc/v1/run_pb.js";
import {
  type RunService,
  type StreamStatusRequest,
  StreamStatusRequestSchema,
  type StreamStatusResponse,
} from "./gen/runsvc/v1/run_service_pb.js";

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
  const backoff = new Backoff();
  let lostAt: number | undefined;
  try {
    while (!left.aborted) {
      try {
        for await (const event of runs.streamStatus(request, { signal: left })) {
          lostAt = undefined;
          backoff.reset();
          advance(request, event);
          yield event;
        }
        return;
      } catch (error) {
        if (left.aborted) break;
        const failure = RunError.from(error);
        const milliseconds = backoff.pauseAfter(failure);
        lostAt ??= performance.now();
        if (!isCut(failure) || performance.now() + milliseconds - lostAt > outageMs) throw failure;
        await pause(milliseconds, left);
      }
    }
    signal?.throwIfAborted();
  } finally {
    release();
  }
}

/** Let the request ask for what comes after the event. */
function advance(request: StreamStatusRequest, event: StreamStatusResponse): void {
  // Without a position yet, a snapshot that was cut off is given anew.
  if (event.revision !== 0n || event.event === StatusEvent.SNAPSHOT_END)
    request.afterRevision = event.revision;
  if (event.storeId) request.storeId = event.storeId;
}

/** Whether the stream was cut off rather than refused: some transports say INTERNAL or CANCELLED of a lost connection. */
function isCut({ code, reason }: RunError): boolean {
  if (code === Code.Unavailable) return true;
  return reason === "" && (code === Code.Internal || code === Code.Canceled);
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
