// A failed call as the server told it.

import { Code, ConnectError } from "@connectrpc/connect";
import { readBadRequest, readErrorInfo, readRetryInfo, type Violation } from "./details.js";
import type { ErrorReason } from "./gen/runsvc/v1/error_reason_pb.js";

const DOMAIN = "runsvc";

/** Name of an ErrorReason. A newer server may send others; empty: the server did not say, or did not answer. */
export type Reason = keyof typeof ErrorReason | "" | (string & {});

/** What the details of an error say. */
interface Told {
  reason: Reason;
  metadata: Readonly<Record<string, string>>;
  violations: readonly Violation[];
  retryAfterMs: number | undefined;
}

/** Why a call failed. A subclass where callers often go on from there; `code` and `reason` tell all others apart. */
export class RunError extends Error {
  override readonly name: string = "RunError";
  /** The canonical code. */
  readonly code: Code;
  /** Why, in one word to branch on, such as THREAD_BUSY. */
  readonly reason: Reason;
  /** The facts of the reason, such as run_id. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The fields at fault, of an INVALID_REQUEST. */
  readonly violations: readonly Violation[];
  /** Milliseconds after which trying again is worth it. Undefined: not told. */
  readonly retryAfterMs: number | undefined;
  /** No server said so: the connection was lost or never made, or the time was over. */
  readonly fromTransport: boolean;

  constructor(cause: ConnectError, told: Told) {
    super(summaryOf(cause, told.reason), { cause });
    this.code = cause.code;
    this.reason = told.reason;
    this.metadata = told.metadata;
    this.violations = told.violations;
    this.retryAfterMs = told.retryAfterMs;
    this.fromTransport = !isFromServer(cause);
  }

  /** The same of an error that a raw stub threw, or of anything else that was. */
  static from(error: unknown): RunError {
    if (error instanceof RunError) return error;
    const cause = ConnectError.from(error);
    const told = toldBy(cause);
    const Kind = BY_REASON.get(told.reason) ?? BY_CODE.get(cause.code) ?? RunError;
    return new Kind(cause, told);
  }
}

/** No such run, or not the caller's. */
export class NotFoundError extends RunError {
  override readonly name = "NotFoundError";
}

/** The thread has an active run; `metadata` names it as run_id. */
export class ThreadBusyError extends RunError {
  override readonly name = "ThreadBusyError";
}

/** Refused as things stand: INVALID_TRANSITION (the run has ended), or NOT_HOLDER (another worker has it). */
export class FailedPreconditionError extends RunError {
  override readonly name = "FailedPreconditionError";
}

/** The request is at fault; `violations` lists every field. */
export class InvalidArgumentError extends RunError {
  override readonly name = "InvalidArgumentError";
}

/**
 * No server, one that stops, or one that cannot reach its store. With a `reason` what was asked for did not happen;
 * without one the connection was lost, and it may have.
 */
export class UnavailableError extends RunError {
  override readonly name = "UnavailableError";
}

const BY_REASON: ReadonlyMap<string, typeof RunError> = new Map([["THREAD_BUSY", ThreadBusyError]]);
const BY_CODE: ReadonlyMap<Code, typeof RunError> = new Map<Code, typeof RunError>([
  [Code.NotFound, NotFoundError],
  [Code.FailedPrecondition, FailedPreconditionError],
  [Code.InvalidArgument, InvalidArgumentError],
  [Code.Unavailable, UnavailableError],
]);

/** Whether a server of ours sent this error: any of its failures has a reason or, behind it, the request's id. */
export function isFromOurs(error: RunError): boolean {
  return (
    error.reason !== "" || (error.cause instanceof ConnectError && error.cause.metadata.has("x-request-id"))
  );
}

/** Whether a server sent this error: what the transport makes up has no status of the call. */
export function isFromServer(error: ConnectError): boolean {
  return error.metadata.has("grpc-status");
}

function summaryOf(cause: ConnectError, reason: Reason): string {
  const what = reason || Code[cause.code];
  return cause.rawMessage ? `${what}: ${cause.rawMessage}` : what;
}

function toldBy(error: ConnectError): Told {
  const told: Told = { reason: "", metadata: {}, violations: [], retryAfterMs: undefined };
  for (const detail of error.details) {
    if ("type" in detail) add(told, detail.type, detail.value);
  }
  return told;
}

function add(told: Told, type: string, bytes: Uint8Array): void {
  if (type === "google.rpc.ErrorInfo") {
    const { domain, reason, metadata } = readErrorInfo(bytes);
    if (domain === DOMAIN) Object.assign(told, { reason, metadata });
  } else if (type === "google.rpc.BadRequest") {
    told.violations = readBadRequest(bytes);
  } else if (type === "google.rpc.RetryInfo") {
    told.retryAfterMs = readRetryInfo(bytes);
  }
}
