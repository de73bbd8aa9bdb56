// An executor's reports: they are idempotent, so that trouble is waited out, and a refusal has a meaning.

import { Code } from "@connectrpc/connect";
import { Backoff, pause } from "./backoff.js";
import { RunError } from "./errors.js";

const LONGEST_ERROR_BYTES = 16 * 1024;

/** Send a report, which may be repeated, until it was answered by more than a failure that passes. */
export async function repeated<T>(send: () => Promise<T>, patienceMs: number): Promise<T> {
  const backoff = new Backoff();
  const end = performance.now() + patienceMs;
  for (;;) {
    try {
      return await send();
    } catch (error) {
      const failure = RunError.from(error);
      const milliseconds = backoff.pauseAfter(failure);
      if (!mayPass(failure) || performance.now() + milliseconds > end) throw failure;
      await pause(milliseconds);
    }
  }
}

/** What a report comes to, or the refusal that says that others have ended the run or taken it away. */
export async function orRefusal<T>(report: Promise<T>): Promise<T | RunError> {
  try {
    return await report;
  } catch (error) {
    const failure = RunError.from(error);
    if (isRefusal(failure)) return failure;
    throw failure;
  }
}

/** Whether it says that others have ended the run or taken it away. */
export function isRefusal({ code }: RunError): boolean {
  return code === Code.NotFound || code === Code.FailedPrecondition;
}

/** Whether it is the server's trouble, or the way's, rather than a refusal. */
export function mayPass({ code }: RunError): boolean {
  return TROUBLE.has(code);
}

const TROUBLE: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.ResourceExhausted,
  Code.Unknown,
  Code.Internal,
]);

/** What the server takes as a run's error: a report must not fail for the length of a text. */
export function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  const bytes = Buffer.from(text);
  if (bytes.length <= LONGEST_ERROR_BYTES) return bytes.toString();
  // A character that was cut through is left out.
  return bytes
    .subarray(0, LONGEST_ERROR_BYTES)
    .toString()
    .replace(/\uFFFD+$/, "");
}
