/** The client of runsvc. `./v1` has the generated code. */
export { durationFromMs, durationMs, timestampDate } from "@bufbuild/protobuf/wkt";
export { Code } from "@connectrpc/connect";
export {
  type CallOptions,
  type CreationOptions,
  type ListOptions,
  type ProgressInit,
  type ReportOptions,
  RunClient,
  type RunSpecInit,
  type WithRun,
} from "./client.js";
export type { Violation } from "./details.js";
export {
  FailedPreconditionError,
  InvalidArgumentError,
  NotFoundError,
  type Reason,
  RunError,
  ThreadBusyError,
  UnavailableError,
} from "./errors.js";
export type { Body, Executed, Execution, ExecutionOptions } from "./execution.js";
export {
  CancelAction,
  type Cancellation,
  CancelOutcome,
  DisconnectMode,
  type Lease,
  MultitaskStrategy,
  type Progress,
  type Run,
  type RunSpec,
  RunStatus,
  StatusEvent,
  StatusReason,
} from "./gen/runsvc/v1/run_pb.js";
export type { StreamStatusResponse } from "./gen/runsvc/v1/run_service_pb.js";
export { type ClientOptions, DEFAULT_TARGET, type Token } from "./settings.js";
export { isTerminal } from "./status.js";
export type { Watch, WatchOptions, WatchTarget } from "./watch.js";
