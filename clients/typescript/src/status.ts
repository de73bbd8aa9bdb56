// What a status means.

import { RunStatus } from "./gen/runsvc/v1/run_pb.js";

/** Whether a run of that status has ended. A status that is newer than this client is taken for active. */
export function isTerminal(status: RunStatus): boolean {
  return TERMINAL.has(status);
}

const TERMINAL: ReadonlySet<RunStatus> = new Set([
  RunStatus.SUCCESS,
  RunStatus.ERROR,
  RunStatus.TIMEOUT,
  RunStatus.INTERRUPTED,
]);
