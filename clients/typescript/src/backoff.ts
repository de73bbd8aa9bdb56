// The pauses between attempts.

import { setTimeout } from "node:timers/promises";
import type { RunError } from "./errors.js";

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

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
    return longest * (1 - Math.random() / 2) + (error.retryAfterMs ?? 0);
  }
}

/** Wait. Resolves early when the signal is aborted. */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await setTimeout(milliseconds, undefined, signal && { signal }).catch(() => {});
}
