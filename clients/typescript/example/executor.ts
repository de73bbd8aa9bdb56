// An executor of the assistant "echo": takes its PENDING runs and repeats their input word by word. After Ctrl-C it
// takes no more runs, finishes the runs in progress, reports them and exits. After a second Ctrl-C it stops the runs in
// progress, and reports them as ERROR.

import { setTimeout } from "node:timers/promises";
import { type Execution, RunClient, RunError, RunStatus, UnavailableError } from "@runsvc/client";

const client = new RunClient();
const inProgress = new Map<string, Promise<void>>();
const shutdown = new AbortController();
const halt = new AbortController();
process.on("SIGINT", () => (shutdown.signal.aborted ? halt : shutdown).abort());

console.log("Waiting for runs; stop with Ctrl-C");
try {
  for await (const { run } of client.watch({ all: { assistantId: "echo" } }, { signal: shutdown.signal })) {
    // A run in progress can still appear as PENDING in an older event.
    if (run?.status !== RunStatus.PENDING || inProgress.has(run.runId)) continue;
    inProgress.set(run.runId, execute(run.runId));
  }
} catch (error) {
  if (error instanceof UnavailableError) {
    console.error("No runsvc server answers; start one with `make run`");
    process.exitCode = 1;
  } else if (!shutdown.signal.aborted) {
    throw error;
  }
} finally {
  console.log(`Finishing the runs in progress: ${inProgress.size}`);
  await Promise.all(inProgress.values());
  client.close();
}

/** Execute a run with a lease of 10 seconds. */
async function execute(runId: string): Promise<void> {
  try {
    const { outcome } = await client.execute(runId, { leaseTtlMs: 10_000 }, echo);
    console.log(`${runId} ${outcome}`);
  } catch (error) {
    // For example, another executor started the run first.
    console.log(`${runId} ${RunError.from(error).message}`);
  } finally {
    inProgress.delete(runId);
  }
}

/** The handler: reports one word more every half second, until the run is stopped. Returns the number of words. */
async function echo({ run, signal, report }: Execution) {
  const words = String(run.kwargs?.input ?? "").split(" ");
  for (let count = 1; count <= words.length; count++) {
    // Rejects when the run or the program is stopped.
    await setTimeout(500, undefined, { signal: AbortSignal.any([signal, halt.signal]) });
    await report({ totalTokens: BigInt(count), lastAiMessage: words.slice(0, count).join(" ") });
  }
  return { result: { words: words.length } };
}
