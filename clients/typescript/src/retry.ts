// Which calls are made again, how often and after what pause. Decisions alone: no call is made here.

import type { DescMethodUnary } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Backoff } from "./backoff.js";
import { type RunError, UnavailableError } from "./errors.js";

/** How often a call is made at most. */
export const ATTEMPTS = 4;

/** What the wire can say: eight digits of milliseconds. More than a day is none. */
const LONGEST_TIMEOUT_MS = 99_999_999;

/** Whether making the call twice does what making it once does: reads, and creations that name their request. */
export function isRepeatable(method: DescMethodUnary, request: object): boolean {
  const reads = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  return reads || ("requestId" in request && Boolean(request.requestId));
}

/** The attempts at one call, which all have to fit into its deadline. */
export class Attempts {
  readonly #repeatable: boolean;
  readonly #end: number;
  readonly #backoff = new Backoff();
  #made = 0;

  /** A timeout of 0 is none; one below is over. */
  constructor(repeatable: boolean, timeoutMs: number) {
    this.#repeatable = repeatable;
    this.#end = timeoutMs === 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
  }

  /** The timeout of the next attempt, in whole milliseconds as the wire wants it. 0: none. */
  left(): number {
    const left = Math.max(1, Math.ceil(this.#end - performance.now()));
    return left > LONGEST_TIMEOUT_MS ? 0 : left;
  }

  /** Milliseconds until the next attempt after a failed one. Undefined: that was the last. */
  pauseAfter(error: RunError): number | undefined {
    this.#made += 1;
    if (!this.#repeatable || this.#made >= ATTEMPTS || !(error instanceof UnavailableError)) return undefined;
    const pause = this.#backoff.pauseAfter(error);
    return performance.now() + pause < this.#end ? pause : undefined;
  }
}
