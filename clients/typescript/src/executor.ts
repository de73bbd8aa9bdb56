// The execution of a run: start, handler, heartbeats, watch, and the report of the end.

import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Executed, ExecuteOptions, Handler } from "./execution.js";
import type { ExecutorCalls } from "./executorCalls.js";
import { type Run, RunStatus } from "./gen/runsvc/v1/run_pb.js";
import { checkLength } from "./lengths.js";
import { isTransient, retryReport } from "./report.js";
import { RunningExecution } from "./runningExecution.js";
import { newWorkerId } from "./workerId.js";

/** The shortest time for which the report of the end is retried. */
const MIN_RETRY_MS = 60_000;

/** Execute a run. See RunClient.execute. */
export async function execute(
  calls: ExecutorCalls,
  runId: string,
  options: ExecuteOptions,
  handler: Handler,
): Promise<Executed> {
  const { leaseTtlMs } = options;
  const workerId = options.workerId === undefined ? newWorkerId() : (options.workerId ?? undefined);
  if (leaseTtlMs !== undefined) checkLength("leaseTtlMs", leaseTtlMs);
  const began = performance.now();
  const start = () => calls.setStatus(runId, RunStatus.RUNNING, { workerId, leaseTtlMs });
  const { run } = await retryReport(start, calls.timeoutMs || Number.POSITIVE_INFINITY, isTransient);
  const execution = started(calls, run, { ...options, workerId }, began);
  return execution.supervised(async () => execution.finish(await execution.perform(handler)));
}

/** The execution of a run that was started at this time. */
export function started(
  calls: ExecutorCalls,
  run: Run,
  options: { workerId: string | undefined; leaseTtlMs?: number; fence?: boolean },
  began: number,
): RunningExecution {
  const ttlMs = options.leaseTtlMs ?? (run.lease?.ttl && durationMs(run.lease.ttl)) ?? 0;
  const supervision = { workerId: options.workerId, ttlMs, fence: options.fence ?? false };
  return new RunningExecution(calls, run, supervision, Math.max(ttlMs, MIN_RETRY_MS), began);
}
