// The types of an execution: its options, its handler, and its result.

import type { JsonObject } from "@bufbuild/protobuf";
import type { RunError } from "./errors.js";
import type { Run } from "./gen/runsvc/v1/run_pb.js";
import type { ProgressInit } from "./options.js";

/** Configures an execution. */
export interface ExecuteOptions {
  /**
   * The id of the executor, which becomes the holder of the run: reports of other executors are refused. Default: a
   * new id from the host name, the process id and a random number. `null`: the run has no holder, and any executor may
   * report on it.
   */
  workerId?: string | null;
  /**
   * The lease in milliseconds, from 1 second to 1 hour. The server ends the run as ERROR when it receives no heartbeat
   * for this long. Needs a `workerId`. Unset: the lease that the run was created with; without one, the run of an
   * executor that dies stays RUNNING.
   */
  leaseTtlMs?: number;
  /**
   * Stop the handler, as a cancel does, when the lease may be over: no heartbeat was confirmed for the length of the
   * lease, by the monotonic clock of this machine. The run is then reported as ERROR. For work that must not
   * continue while another executor may have started. Needs a lease. Default: false.
   */
  fence?: boolean;
}

/** What a handler returns if it has more than its final usage to report. */
export interface Outcome {
  /** The final usage, on top of the usage that was reported before. */
  progress?: ProgressInit;
  /**
   * What the run produced, at most 1 MiB and 16 levels deep. Reported if the handler does not throw.
   */
  result?: JsonObject;
  /**
   * Why the run stopped, in a word of the executor's own such as `token_capped`, of at most 128 characters. Default:
   * the one of {@link Execution.setStopReason}.
   */
  stopReason?: string;
}

/**
 * The function that does the work of a run. It returns an {@link Outcome}, or the final usage alone, on top of the
 * usage that it reported before. If it throws, the run ends as ERROR.
 */
export type Handler = (execution: Execution) => Promise<Outcome | ProgressInit | undefined> | Promise<void>;

/** A run in progress, as its handler sees it. */
export interface Execution {
  /** The run as it was started, with its kwargs. */
  readonly run: Run;
  /**
   * Aborted with an AbortError when others have ended the run, the fence has stopped it, or its worker shuts down. The
   * handler should stop then.
   */
  readonly signal: AbortSignal;
  /**
   * The run as others have ended it; its cancellation contains the action to take. Undefined while the run is in
   * progress, and if it has another holder.
   */
  readonly ended: Run | undefined;
  /**
   * Sets why the run stopped, in a word of the executor's own such as `token_capped`, of at most 128 characters. It is
   * reported with any end.
   */
  readonly setStopReason: (reason: string) => void;
  /**
   * Reports usage. The fields that are set replace the values reported before, for each model of `byModel` too; reports
   * are sent in the order of the calls. Resolves to false if the report was not applied: the run has ended, or no
   * server answered. After an outage the next report, at the latest that of the end, contains this progress too.
   *
   * Rejects if the server refuses the progress itself, for instance as INVALID_REQUEST.
   */
  readonly report: (progress: ProgressInit) => Promise<boolean>;
}

/** The result of an execution. */
export type Executed =
  /**
   * The run ended as SUCCESS. `rejection`: result, stop reason and final usage were not stored, because the server
   * rejected them or no message can hold them.
   */
  | { outcome: "completed"; run: Run; rejection?: RunError }
  /**
   * The run ended as ERROR, or is PENDING for another attempt after a {@link RetryableError}. `error`: the error that
   * the handler threw.
   */
  | { outcome: "failed"; run: Run; error: unknown }
  /**
   * The run was cancelled or displaced by a newer run. `error`: the error that the handler threw when it was stopped.
   */
  | { outcome: "cancelled"; run: Run; error?: unknown }
  /** The fence stopped the handler, and the run ended as ERROR. `error`: the error that the handler threw then. */
  | { outcome: "fenced"; run: Run; error?: unknown }
  /** The {@link Worker} was stopped and gave the run back. `error`: the error that the handler threw then. */
  | { outcome: "released"; run: Run; error?: unknown }
  /**
   * The run ended otherwise, was removed, or has another holder. `cause`: the run as it ended, or the refusal of the
   * server.
   */
  | { outcome: "lost"; cause: Run | RunError; error?: unknown };
