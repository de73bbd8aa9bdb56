/**
 * The client of runsvc, the durable run service for agent platforms. The generated code is in `@runsvc/client/v1`.
 *
 * @module
 */
export { durationFromMs, durationMs, timestampDate } from "@bufbuild/protobuf/wkt";
export { Code } from "@connectrpc/connect";
export { RunClient } from "./client.js";
export type { Token } from "./credential.js";
export type { Violation } from "./details.js";
export {
  FailedPreconditionError,
  InvalidArgumentError,
  NotFoundError,
  type Reason,
  RetryableError,
  RunError,
  ThreadBusyError,
  UnavailableError,
} from "./errors.js";
export type { Executed, ExecuteOptions, Execution, Handler, Outcome } from "./execution.js";
export {
  CancelAction,
  type Cancellation,
  CancelOutcome,
  DisconnectMode,
  type Lease,
  type ModelUsage,
  MultitaskStrategy,
  type Progress,
  type Run,
  type RunSpec,
  RunStatus,
  StatusEvent,
  StatusReason,
} from "./gen/runsvc/v1/run_pb.js";
export type { StreamStatusResponse } from "./gen/runsvc/v1/run_service_pb.js";
export type {
  AcknowledgeCancelOptions,
  AttemptOptions,
  CallOptions,
  CancelOptions,
  ClaimOptions,
  CompleteOptions,
  CreationOptions,
  EndOptions,
  ListOptions,
  MetadataChange,
  ProgressInit,
  ReportOptions,
  RunSpecInit,
  SetStatusOptions,
  UpdateProgressOptions,
  WithRun,
} from "./options.js";
export { type ClientOptions, DEFAULT_TARGET } from "./settings.js";
export { isTerminal } from "./status.js";
export type { Watch, WatchOptions, WatchTarget } from "./watch.js";
export { Worker, type WorkerHealth, type WorkerOptions } from "./worker.js";
