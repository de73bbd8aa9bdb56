// The rules for a watch without a server: when to reconnect, and when to give up.

import { Backoff } from "./backoff.js";
import type { RunError } from "./errors.js";

/** A stream that was open for longer than this had a connection, unless it failed to connect. */
const CONNECTED_MS = 10_000;

/** The outage of the server, across all streams of a watch. */
export class Outage {
  readonly #longestMs: number;
  readonly #now: () => number;
  readonly #backoff = new Backoff();
  #openedAt = 0;
  #since: number | undefined;

  constructor(longestMs: number, now = () => performance.now()) {
    this.#longestMs = longestMs;
    this.#now = now;
  }

  get isActive(): boolean {
    return this.#since !== undefined;
  }

  streamOpened(): void {
    this.#openedAt = this.#now();
  }

  messageReceived(): void {
    this.#since = undefined;
    this.#backoff.reset();
  }

  /** Milliseconds until the next stream. Throws the error if the outage has lasted too long. */
  streamLost(error: RunError): number {
    const now = this.#now();
    const wasConnected = now - this.#openedAt > CONNECTED_MS && !isUnreachable(error);
    if (this.#since === undefined || wasConnected) this.#since = now;
    const milliseconds = this.#backoff.pauseAfter(error);
    if (now + milliseconds - this.#since > this.#longestMs) throw error;
    return milliseconds;
  }
}

/**
 * Whether no connection was made, which can take minutes if no host answers. With several addresses the cause is an
 * AggregateError.
 */
function isUnreachable(failure: RunError): boolean {
  for (let error: unknown = failure; error instanceof Error; error = error.cause) {
    if (error instanceof AggregateError || ("syscall" in error && error.syscall === "connect")) return true;
  }
  return false;
}
