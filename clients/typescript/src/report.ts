// The rules for reports of an executor. Reports are idempotent, so they can be retried.

import { Code } from "@connectrpc/connect";
import { Backoff, pause } from "./backoff.js";
import { RetryableError, RunError } from "./errors.js";
import type { Progress } from "./gen/runsvc/v1/run_pb.js";

/** The longest error text that is sent. The server keeps 16 KiB of it and marks the cut. */
const MAX_ERROR_BYTES = 64 * 1024;

/** Send a report, and retry it after temporary errors for the given time. */
export async function retryReport<T>(
  send: () => Promise<T>,
  retryMs: number,
  isTemporary = isOutage,
): Promise<T> {
  const backoff = new Backoff();
  const end = performance.now() + retryMs;
  for (;;) {
    try {
      return await send();
    } catch (thrown) {
      const error = RunError.from(thrown);
      const milliseconds = backoff.pauseAfter(error);
      if (!isTemporary(error) || performance.now() + milliseconds > end) throw error;
      await pause(milliseconds);
    }
  }
}

/** The result of a report, or the refusal of the server. Rejects with any other error. */
export async function orRefusal<T>(report: Promise<T>): Promise<T | RunError> {
  try {
    return await report;
  } catch (thrown) {
    const error = RunError.from(thrown);
    if (isRefusal(error)) return error;
    throw error;
  }
}

/** Whether the server refused a report because the run has ended, was removed, or has another holder. */
export function isRefusal({ code }: RunError): boolean {
  return code === Code.NotFound || code === Code.FailedPrecondition;
}

/** Whether the error does not concern the run itself, so that the same report may succeed later. */
export function isTransient({ code }: RunError): boolean {
  return TRANSIENT.has(code);
}

/** Whether the same report may succeed later while a run is in progress: an expired token may be replaced. */
export function isOutage(error: RunError): boolean {
  return isTransient(error) || error.code === Code.Unauthenticated;
}

const TRANSIENT: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.ResourceExhausted,
  Code.Unknown,
  Code.Internal,
]);

/** Whether another attempt may succeed after this error. */
export function isRetryable(error: unknown): boolean {
  try {
    return error instanceof RetryableError;
  } catch {
    return false;
  }
}

/** The text of a thrown value, truncated to the length that is sent. Never throws. */
export function errorText(error: unknown): string {
  try {
    const text = textOf(error);
    if (text) return truncated(text);
  } catch {
    // The value has a getter or a method that throws.
  }
  return "the handler threw a value that has no text";
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // A program without types can set other values.
  const { message, name } = error as { message: unknown; name: unknown };
  if (typeof message === "string" && message) return message;
  return typeof name === "string" && name ? name : String(error);
}

function truncated(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= MAX_ERROR_BYTES) return bytes.toString();
  // An incomplete last character is removed.
  return bytes
    .subarray(0, MAX_ERROR_BYTES)
    .toString()
    .replace(/\uFFFD+$/, "");
}

/** The progress with previews that fit into a message. The server keeps less of them. */
export function withShortPreviews(progress: Progress): Progress {
  const { lastAiMessage, firstHumanMessage } = progress;
  if (lastAiMessage !== undefined) progress.lastAiMessage = truncated(lastAiMessage);
  if (firstHumanMessage !== undefined) progress.firstHumanMessage = truncated(firstHumanMessage);
  return progress;
}
