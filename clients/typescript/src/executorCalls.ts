// The calls of the service that an execution makes.

import type { Run, RunStatus } from "./gen/runsvc/v1/run_pb.js";
import type {
  AcknowledgeCancelOptions,
  AttemptOptions,
  CompleteOptions,
  ProgressInit,
  SetStatusOptions,
  UpdateProgressOptions,
} from "./options.js";
import type { Watch, WatchOptions, WatchTarget } from "./watch.js";

/** The calls that an execution makes. RunClient implements them. */
export interface ExecutorCalls {
  readonly timeoutMs: number;
  setStatus(runId: string, status: RunStatus, options: SetStatusOptions): Promise<{ run: Run }>;
  complete(runId: string, status: RunStatus, options: CompleteOptions): Promise<{ run: Run }>;
  updateProgress(
    runId: string,
    progress: ProgressInit,
    options: UpdateProgressOptions,
  ): Promise<{ run: Run; applied: boolean }>;
  acknowledgeCancel(runId: string, options: AcknowledgeCancelOptions): Promise<{ run: Run }>;
  get(runId: string): Promise<Run>;
  heartbeat(runId: string, workerId: string, options: AttemptOptions): Promise<Run>;
  release(runId: string, workerId: string, options: AttemptOptions): Promise<Run>;
  watch(target: WatchTarget, options: WatchOptions): Watch;
}
