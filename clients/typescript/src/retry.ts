// The rules for retries of calls: which calls, how often, and after which pause.

import type { DescMethodUnary } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Backoff } from "./backoff.js";
import { isUnavailable, type RunError } from "./errors.js";
import { checkLength } from "./lengths.js";

/** The highest number of attempts at one call. */
export const MAX_ATTEMPTS = 4;

/** The longest timeout that gRPC can encode in milliseconds: eight digits, more than a day. */
const LONGEST_TIMEOUT_MS = 99_999_999;

/** Whether making the call twice has the same effect as making it once: reads, and creations with a request id. */
export function isRepeatable(method: DescMethodUnary, request: object): boolean {
  const isRead = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  return isRead || ("requestId" in request && Boolean(request.requestId));
}

/** The attempts at one call, within its deadline. */
export class Attempts {
  readonly #repeatable: boolean;
  readonly #deadline: number;
  readonly #backoff = new Backoff();
  #made = 0;

  /** A timeout of 0 means no deadline; a negative timeout has passed already. */
  constructor(repeatable: boolean, timeoutMs: number) {
    checkLength("timeoutMs", timeoutMs);
    this.#repeatable = repeatable;
    this.#deadline = timeoutMs === 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
  }

  /** The timeout of the next attempt, in whole milliseconds. 0 means no deadline. */
  remainingMs(): number {
    const remaining = Math.max(1, Math.ceil(this.#deadline - performance.now()));
    return remaining > LONGEST_TIMEOUT_MS ? 0 : remaining;
  }

  /** Milliseconds until the next attempt. Undefined if there is no further attempt. */
  pauseAfter(error: RunError): number | undefined {
    this.#made += 1;
    const isLast = this.#made >= MAX_ATTEMPTS || !isUnavailable(error);
    if (!this.#repeatable || isLast) return undefined;
    const pause = this.#backoff.pauseAfter(error);
    return performance.now() + pause < this.#deadline ? pause : undefined;
  }
}
