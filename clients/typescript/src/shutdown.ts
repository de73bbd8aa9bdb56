// The stop of a worker.

import { once } from "node:events";
import { pause } from "./backoff.js";

/** Whether a worker is to stop, and when its grace period is over. */
export class Shutdown {
  readonly #begin = new AbortController();
  readonly #shortened = new EventTarget();
  #end = Number.POSITIVE_INFINITY;

  /** Aborted with the begin of the stop. */
  get begun(): AbortSignal {
    return this.#begin.signal;
  }

  /** Begin the stop, or shorten the grace period. */
  begin(graceMs: number): void {
    this.#end = Math.min(this.#end, performance.now() + graceMs);
    this.#begin.abort();
    this.#shortened.dispatchEvent(new Event("shortened"));
  }

  /** Wait until the grace period is over, or until the signal is aborted. */
  async graceIsOver(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const remaining = this.#end - performance.now();
      if (remaining <= 0) return;
      const changed = new AbortController();
      const shortened = once(this.#shortened, "shortened", {
        signal: AbortSignal.any([signal, changed.signal]),
      });
      await Promise.race([pause(remaining, AbortSignal.any([signal, changed.signal])), shortened]).catch(
        () => {},
      );
      changed.abort();
      await shortened.catch(() => {});
    }
    // The run has ended: nothing is left to stop.
    await new Promise<never>(() => {});
  }
}
