// A watch that reconnects by itself.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, type ContextValues, createContextValues } from "@connectrpc/connect";
import { pause } from "./backoff.js";
import { isFromRunsvc, isUnavailable, RunError } from "./errors.js";
import { type Run, RunStatus, StatusEvent } from "./gen/runsvc/v1/run_pb.js";
import {
  type RunService,
  type StreamStatusRequest,
  StreamStatusRequestSchema,
  type StreamStatusResponse,
} from "./gen/runsvc/v1/run_service_pb.js";
import { checkLength, durationOf } from "./lengths.js";
import { Outage } from "./outage.js";
import { isTerminal } from "./status.js";

const DEFAULT_OUTAGE_MS = 60_000;

/** The runs to watch: one run, the runs of a thread, or all runs (of an assistant), including runs created later. */
export type WatchTarget = { runId: string } | { threadId: string } | { all: { assistantId?: string } };

/** Options of {@link RunClient.watch}. */
export interface WatchOptions {
  /** Start with the first change after this revision, without a snapshot. Default: start with a snapshot. */
  afterRevision?: bigint;
  /** The id of the store that `afterRevision` belongs to. Default: not checked. */
  storeId?: string;
  /** Include PROGRESS events. */
  includeProgress?: boolean;
  /**
   * Time without events after which the server sends a HEARTBEAT, 1 to 300 seconds in milliseconds. Default: 15
   * seconds.
   */
  heartbeatIntervalMs?: number;
  /**
   * Attach this watch to its run as a client: the server may cancel the run when no attached client is left. Only for
   * one run.
   */
  attach?: boolean;
  /** After a cancel, wait for its acknowledgement, as long as one can follow. Only for one run. */
  untilAcknowledged?: boolean;
  /** Time in milliseconds for which the watch tries to reach a server before it fails. Default: 60 seconds. */
  outageMs?: number;
  /** Aborts the watch, which then throws the reason of the signal. */
  signal?: AbortSignal;
}

/** An open watch. Leaving its loop ends the stream on the server. */
export type Watch = AsyncIterableIterator<StreamStatusResponse> & AsyncDisposable;

/** Decides whether a watch whose token was refused can resume with another. Connection implements it. */
export interface TokenSource {
  isRenewedAfter(failure: RunError, context: ContextValues): Promise<boolean>;
}

/**
 * Open a watch. It connects when its first event is requested.
 *
 * @throws RangeError if a length is not a number.
 */
export function watch(
  runs: Client<typeof RunService>,
  tokens: TokenSource,
  target: WatchTarget,
  options: WatchOptions,
): Watch {
  const { signal, outageMs } = options;
  if (outageMs !== undefined) checkLength("outageMs", outageMs);
  const request = requestOf(target, options);
  const left = new AbortController();
  const abort = () => left.abort();
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  const release = () => {
    left.abort();
    signal?.removeEventListener("abort", abort);
  };
  const events = follow(runs, tokens, request, options, left.signal, release);
  // The `return` of a generator alone would wait for its next event.
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
  tokens: TokenSource,
  request: StreamStatusRequest,
  { outageMs = DEFAULT_OUTAGE_MS, signal }: WatchOptions,
  left: AbortSignal,
  release: () => void,
): AsyncGenerator<StreamStatusResponse, undefined> {
  const completion = new Completion(request);
  const outage = new Outage(outageMs);
  // The token was fetched anew since the last event, because the server refused the one before.
  let hasNewToken = false;
  try {
    while (!left.aborted) {
      outage.streamOpened();
      const contextValues = createContextValues();
      try {
        for await (const event of runs.streamStatus(request, { signal: left, contextValues })) {
          outage.messageReceived();
          hasNewToken = false;
          advance(request, event);
          completion.add(event);
          yield event;
        }
        return;
      } catch (error) {
        if (left.aborted) break;
        const failure = RunError.from(error);
        if (!hasNewToken && (await tokens.isRenewedAfter(failure, contextValues))) {
          hasNewToken = true;
          continue;
        }
        if (!isLostConnection(failure)) throw failure;
        // One more stream after the terminal change gave the server the chance to end the watch.
        if (completion.isComplete && outage.isActive) return;
        await pause(outage.streamLost(failure), left);
      }
    }
    signal?.throwIfAborted();
  } finally {
    release();
  }
}

/** Decides whether a watch of one run is complete: no further event can follow. */
class Completion {
  readonly #request: StreamStatusRequest;
  /** The run no longer changes. */
  #runIsFinal = false;
  isComplete = false;

  constructor(request: StreamStatusRequest) {
    this.#request = request;
  }

  add({ event, run }: StreamStatusResponse): void {
    const { target, untilAcknowledged } = this.#request;
    if (target.case !== "runId") return;
    if (run) {
      const ended = isTerminal(run.status) && !(untilAcknowledged && awaitsAcknowledgement(run));
      this.#runIsFinal = ended || event === StatusEvent.DELETED;
    }
    this.isComplete = this.#runIsFinal && event !== StatusEvent.SNAPSHOT;
  }
}

function awaitsAcknowledgement({ status, cancellation }: Run): boolean {
  return status === RunStatus.INTERRUPTED && !cancellation?.acknowledgedAt;
}

/** Move the position of the request behind the event. */
function advance(request: StreamStatusRequest, event: StreamStatusResponse): void {
  // Inside a snapshot there is no position: an interrupted snapshot is sent again.
  if (event.revision !== 0n || event.event === StatusEvent.SNAPSHOT_END)
    request.afterRevision = event.revision;
  if (event.storeId) request.storeId = event.storeId;
}

/**
 * Whether the watch can resume: the server is unavailable or overloaded, or the connection was lost, which some
 * transports report as INTERNAL.
 */
function isLostConnection(failure: RunError): boolean {
  return isUnavailable(failure) || (failure.code === Code.Internal && !isFromRunsvc(failure));
}

function requestOf(target: WatchTarget, options: WatchOptions): StreamStatusRequest {
  const { afterRevision, storeId, includeProgress, heartbeatIntervalMs, attach, untilAcknowledged } = options;
  return create(StreamStatusRequestSchema, {
    target: targetOf(target),
    afterRevision,
    storeId,
    includeProgress,
    heartbeatInterval: durationOf("heartbeatIntervalMs", heartbeatIntervalMs),
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
