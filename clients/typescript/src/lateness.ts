// Detects a handler that blocks the event loop.

/** Emit a warning of the process if a heartbeat was late by more than half of the lease. */
export function warnIfLate(runId: string, lateMs: number, ttlMs: number): void {
  if (lateMs <= ttlMs / 2) return;
  const late = (lateMs / 1_000).toFixed(1);
  const lease = (ttlMs / 1_000).toFixed(1);
  const message =
    `a heartbeat of run ${runId} was ${late} s late with a lease of ${lease} s, because the event loop was blocked; ` +
    "run long computations in a worker thread, or the run ends as ERROR (LEASE_EXPIRED)";
  process.emitWarning(message, { type: "RunsvcWarning", code: "RUNSVC_EVENT_LOOP_BLOCKED" });
}
