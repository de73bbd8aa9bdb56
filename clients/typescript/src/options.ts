// The types of the arguments and results of calls.

import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import type { CancelAction, ProgressSchema, Run, RunSpecSchema, RunStatus } from "./gen/runsvc/v1/run_pb.js";

/** The specification of a run to be created. Only `threadId` is required. */
export type RunSpecInit = MessageInitShape<typeof RunSpecSchema>;

/** Usage of a run. The fields that are set replace the earlier values. */
export type ProgressInit = MessageInitShape<typeof ProgressSchema>;

/** A response that always has a run. */
export type WithRun<T extends { run?: Run }> = T & { run: Run };

/** Options of every call. */
export interface CallOptions {
  /** Deadline of this call in milliseconds; 0 means none. Default: the deadline of the client. */
  timeoutMs?: number;
  /** Aborts the call, which then rejects with the reason of the signal. The call may have taken effect. */
  signal?: AbortSignal;
}

/** Options of {@link RunClient.create} and {@link RunClient.createOrReject}. */
export interface CreationOptions extends CallOptions {
  /**
   * Identifies the creation, so that it can be retried, by the client too: calls with the same id and the same spec
   * return the same run.
   */
  requestId?: string;
}

/** Options of {@link RunClient.listByThread}. */
export interface ListOptions extends CallOptions {
  /** Number of runs per page, at most 500. Default: 100. */
  pageSize?: number;
  /** Lists only runs with one of these statuses. Default: all runs. */
  statuses?: RunStatus[];
}

/** Options of calls that concern one attempt at a run. */
export interface AttemptOptions extends CallOptions {
  /** The attempt that the executor performs: another one than the run's is refused. Default: not checked. */
  attempt?: number;
}

/** Options of {@link RunClient.claim}. */
export interface ClaimOptions extends CallOptions {
  /** The assistants whose runs the worker performs, at most 16. Default: runs of every assistant. */
  assistantIds?: string[];
  /** The maximum number of runs, 1 to 32. Default: 1. */
  maxRuns?: number;
  /** The lease of each run in milliseconds, from 1 second to 1 hour. */
  leaseTtlMs: number;
  /** How long to wait for a run, in milliseconds, at most 60 seconds. Default: 20 seconds. */
  waitMs?: number;
  /** Identifies the claim, so that it can be retried, by the client too: the same id returns the same runs. */
  requestId?: string;
}

/** Options of the reports of an executor. */
export interface ReportOptions extends AttemptOptions {
  /** The id of the executor. Required if the run has a holder. */
  workerId?: string;
}

/** What a report of the end can contain beside the status. */
export interface EndOptions extends ReportOptions {
  /** The error text of a run that failed. */
  error?: string;
  /** What the run produced, at most 1 MiB and 16 levels deep. Only with SUCCESS. */
  result?: JsonObject;
  /** Why the run stopped, in a word of the executor's own, of at most 128 characters. */
  stopReason?: string;
  /** Only with ERROR: the run becomes PENDING again if attempts are left. */
  retryable?: boolean;
}

/** Options of {@link RunClient.setStatus}. */
export interface SetStatusOptions extends EndOptions {
  /** Lease in milliseconds, from 1 second to 1 hour. See {@link ExecuteOptions.leaseTtlMs}. */
  leaseTtlMs?: number;
}

/** Options of {@link RunClient.complete}. */
export interface CompleteOptions extends EndOptions {
  /** The final usage. */
  progress?: ProgressInit;
}

/** Options of {@link RunClient.updateProgress}. */
export interface UpdateProgressOptions extends ReportOptions {
  /** Orders the reports of one executor: a report is ignored if its number is not above the last one. */
  sequence?: bigint;
  /** Marks the usage as final. */
  final?: boolean;
}

/** A change of the metadata of a run. */
export interface MetadataChange {
  /** Top-level keys and their new values, which replace the present ones. */
  set?: JsonObject;
  /** Top-level keys to remove. */
  remove?: string[];
}

/** Options of {@link RunClient.cancel}. */
export interface CancelOptions extends CallOptions {
  /** INTERRUPT keeps the checkpoint of the run; ROLLBACK reverts to the state before the run. Default: INTERRUPT. */
  action?: CancelAction;
  /** A note for the executor, at most 1 KiB. */
  note?: string;
}

/** Options of {@link RunClient.acknowledgeCancel}. */
export interface AcknowledgeCancelOptions extends ReportOptions {
  /** The final usage. */
  progress?: ProgressInit;
  /** Why the run stopped, as in {@link EndOptions}. */
  stopReason?: string;
}
