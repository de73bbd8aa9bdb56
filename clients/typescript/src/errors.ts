// The errors of failed calls.

import { Code, ConnectError } from "@connectrpc/connect";
import { readBadRequest, readErrorInfo, readRetryInfo, type Violation } from "./details.js";
import type { ErrorReason } from "./gen/runsvc/v1/error_reason_pb.js";

const DOMAIN = "runsvc";

/**
 * Name of an ErrorReason. A newer server may send other names. Empty if the server gave no reason or did not answer.
 */
export type Reason = keyof typeof ErrorReason | "" | (string & {});

/** The details of an error. */
interface Details {
  reason: Reason;
  metadata: Readonly<Record<string, string>>;
  violations: readonly Violation[];
  retryAfterMs: number | undefined;
}

/**
 * A failed call. There are subclasses for the errors that callers often handle; `code` and `reason` distinguish all
 * errors.
 */
export class RunError extends Error {
  override readonly name: string = "RunError";
  /** The gRPC status code. */
  readonly code: Code;
  /** The reason in one word, such as THREAD_BUSY. */
  readonly reason: Reason;
  /** The facts that belong to the reason, such as `run_id`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The invalid fields of an INVALID_REQUEST. */
  readonly violations: readonly Violation[];
  /** The delay in milliseconds after which the server suggests a retry. */
  readonly retryAfterMs: number | undefined;
  /** Whether the error does not come from a server: the connection was lost or never made, or the deadline passed. */
  readonly fromTransport: boolean;
  /** The id under which the server's log describes the call. Empty if no server answered. */
  readonly requestId: string;

  /** @internal */
  constructor(cause: ConnectError, details: Details) {
    super(summaryOf(cause, details.reason), { cause });
    this.code = cause.code;
    this.reason = details.reason;
    this.metadata = details.metadata;
    this.violations = details.violations;
    this.retryAfterMs = details.retryAfterMs;
    this.fromTransport = !isFromServer(cause);
    this.requestId = requestIdOf(cause);
  }

  /** Convert an error of a generated stub, or any other thrown value. */
  static from(error: unknown): RunError;
  /** @internal */
  static from(error: unknown, violations?: readonly Violation[]): RunError;
  static from(error: unknown, violations?: readonly Violation[]): RunError {
    if (error instanceof RunError) return error;
    const cause = ConnectError.from(error);
    const details = { ...detailsOf(cause), ...(violations && { violations }) };
    const Kind = BY_REASON.get(details.reason) ?? BY_CODE.get(cause.code) ?? RunError;
    return new Kind(cause, details);
  }
}

/** The run does not exist, or belongs to another owner. */
export class NotFoundError extends RunError {
  override readonly name = "NotFoundError";
}

/** The thread has an active run. `metadata` holds its id as `run_id`. */
export class ThreadBusyError extends RunError {
  override readonly name = "ThreadBusyError";
}

/**
 * The state of the run does not allow the change: INVALID_TRANSITION (the run has ended) or NOT_HOLDER (another
 * executor holds the run).
 */
export class FailedPreconditionError extends RunError {
  override readonly name = "FailedPreconditionError";
}

/** The request is invalid. `violations` lists every invalid field. */
export class InvalidArgumentError extends RunError {
  override readonly name = "InvalidArgumentError";
}

/**
 * The server cannot be reached, is stopping, or cannot use its store. With a `reason`, the change did not happen.
 * Without a reason the connection was lost, and the change may have happened.
 */
export class UnavailableError extends RunError {
  override readonly name = "UnavailableError";
}

/**
 * Thrown by a handler: another attempt may succeed. The run becomes PENDING again as long as attempts are left (`retry`
 * of its specification), and ERROR otherwise.
 */
export class RetryableError extends Error {
  override readonly name: string = "RetryableError";
}

const BY_REASON: ReadonlyMap<string, typeof RunError> = new Map([["THREAD_BUSY", ThreadBusyError]]);
const BY_CODE: ReadonlyMap<Code, typeof RunError> = new Map<Code, typeof RunError>([
  [Code.NotFound, NotFoundError],
  [Code.FailedPrecondition, FailedPreconditionError],
  [Code.InvalidArgument, InvalidArgumentError],
  [Code.Unavailable, UnavailableError],
]);

/** Whether the server is unavailable, or overloaded with a delay after which it can be called again. */
export function isUnavailable(error: RunError): boolean {
  const isOverloaded = error.reason === "OVERLOADED" && error.retryAfterMs !== undefined;
  return isOverloaded || error instanceof UnavailableError;
}

/** Whether a runsvc server sent this error: all its errors have a reason or, in the trailers, a request id. */
export function isFromRunsvc(error: RunError): boolean {
  return error.reason !== "" || error.requestId !== "";
}

/** Whether a server sent this error: errors of the transport have no gRPC status in the trailers. */
export function isFromServer(error: ConnectError): boolean {
  return error.metadata.has("grpc-status");
}

function summaryOf(cause: ConnectError, reason: Reason): string {
  const summary = reason || Code[cause.code];
  const requestId = requestIdOf(cause);
  const text = cause.rawMessage ? `${summary}: ${cause.rawMessage}` : summary;
  return requestId ? `${text} (request id ${requestId})` : text;
}

function requestIdOf(error: ConnectError): string {
  return error.metadata.get("x-request-id") ?? "";
}

function detailsOf(error: ConnectError): Details {
  const details: Details = { reason: "", metadata: {}, violations: [], retryAfterMs: undefined };
  for (const detail of error.details) {
    if ("type" in detail) add(details, detail.type, detail.value);
  }
  return details;
}

function add(details: Details, type: string, bytes: Uint8Array): void {
  if (type === "google.rpc.ErrorInfo") {
    const { domain, reason, metadata } = readErrorInfo(bytes);
    if (domain === DOMAIN) Object.assign(details, { reason, metadata });
  } else if (type === "google.rpc.BadRequest") {
    details.violations = readBadRequest(bytes);
  } else if (type === "google.rpc.RetryInfo") {
    details.retryAfterMs = readRetryInfo(bytes);
  }
}
