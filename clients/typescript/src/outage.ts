// How long a watch goes on without a server. Decisions alone: no stream is held here.

import { Backoff } from "./backoff.js";
import type { RunError } from "./errors.js";

/** A stream that stood for longer had a connection, also if nothing happened on it, unless its failure was to make one. */
const CONNECTED_MS = 10_000;

/** Since when there is no server, over all streams of a watch. */
export class Outage {
  readonly #longestMs: number;
  readonly #now: () => number;
  readonly #backoff = new Backoff();
  #openedAt = 0;
  #goneSince: number | undefined;

  constructor(longestMs: number, now = () => performance.now()) {
    this.#longestMs = longestMs;
    this.#now = now;
  }

  get isOn(): boolean {
    return this.#goneSince !== undefined;
  }

  opening(): void {
    this.#openedAt = this.#now();
  }

  heard(): void {
    this.#goneSince = undefined;
    this.#backoff.reset();
  }

  /** Milliseconds until the next stream. Throws the failure that cut off this one when there was no server for too long. */
  cut(failure: RunError): number {
    const now = this.#now();
    const stood = now - this.#openedAt > CONNECTED_MS && !isUnreachable(failure);
    if (this.#goneSince === undefined || stood) this.#goneSince = now;
    const milliseconds = this.#backoff.pauseAfter(failure);
    if (now + milliseconds - this.#goneSince > this.#longestMs) throw failure;
    return milliseconds;
  }
}

/** Whether no connection was made, which may take minutes where nobody answers; of several addresses that is an AggregateError. */
function isUnreachable(failure: RunError): boolean {
  for (let error: unknown = failure; error instanceof Error; error = error.cause) {
    if (error instanceof AggregateError || ("syscall" in error && error.syscall === "connect")) return true;
  }
  return false;
}
