// Properties of a status.

import { RunStatus } from "./gen/runsvc/v1/run_pb.js";

/** Whether a run with this status has ended. A status that this client does not know counts as active. */
export function isTerminal(status: RunStatus): boolean {
  return TERMINAL.has(status);
}

const TERMINAL: ReadonlySet<RunStatus> = new Set([
  RunStatus.SUCCESS,
  RunStatus.ERROR,
  RunStatus.TIMEOUT,
  RunStatus.INTERRUPTED,
]);
