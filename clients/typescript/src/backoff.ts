// The pauses between attempts.

import { setTimeout } from "node:timers/promises";
import type { RunError } from "./errors.js";

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;
/** The longest delay of a server that is obeyed. */
const LONGEST_DELAY_MS = 3_600_000;
/** A timer that is set to a longer time expires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Pauses of 50 ms, doubling up to 2 s. Each is shortened at random by up to half, so that clients do not retry in step.
 */
export class Backoff {
  #longest = FIRST_PAUSE_MS;

  /** Start with the shortest pause again. */
  reset(): void {
    this.#longest = FIRST_PAUSE_MS;
  }

  /** Milliseconds until the next attempt. The delay that the server asked for is added. */
  pauseAfter(error: RunError): number {
    const longest = this.#longest;
    this.#longest = Math.min(2 * longest, LONGEST_PAUSE_MS);
    return longest * (1 - Math.random() / 2) + Math.min(error.retryAfterMs ?? 0, LONGEST_DELAY_MS);
  }
}

/** Wait. Resolves early when the signal is aborted. */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  const end = performance.now() + milliseconds;
  let remaining = milliseconds;
  do {
    const timer = Math.min(remaining, LONGEST_TIMER_MS);
    await setTimeout(timer, undefined, signal && { signal }).catch(() => {});
    remaining = end - performance.now();
    // A timer may expire up to a millisecond early.
  } while (remaining > 1 && !signal?.aborted);
}
