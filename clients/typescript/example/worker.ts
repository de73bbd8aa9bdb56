// An executor: takes every run of the assistant "echo" that nobody has started, and repeats its input word by word.

import { setTimeout } from "node:timers/promises";
import { type Execution, RunClient, RunError, RunStatus, UnavailableError } from "@runsvc/client";

const client = new RunClient();
const workerId = `echo-${process.pid}`;
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

console.log(`${workerId} waits for runs; Ctrl-C stops it.`);
try {
  for await (const { run } of client.watch({ all: { assistantId: "echo" } }, { signal: stop.signal })) {
    if (run?.status === RunStatus.PENDING) void work(run.runId);
  }
} catch (error) {
  if (error instanceof UnavailableError) {
    console.error("no runsvc server answers: start one with make run");
    process.exitCode = 1;
  } else if (!stop.signal.aborted) {
    throw error;
  }
} finally {
  client.close();
}

async function work(runId: string): Promise<void> {
  try {
    const { outcome } = await client.execute(runId, { workerId, leaseTtlMs: 10_000 }, echo);
    console.log(`${runId} ${outcome}`);
  } catch (error) {
    // Another worker was quicker, or the server had its reasons.
    if (!(error instanceof RunError)) throw error;
    console.log(`${runId} ${error.message}`);
  }
}

async function echo({ run, signal, report }: Execution) {
  const { kwargs } = await client.get(run.runId, { signal });
  const words = String(kwargs?.input ?? "").split(" ");
  for (let said = 1; said <= words.length; said++) {
    // Rejects when the run is cancelled.
    await setTimeout(500, undefined, { signal });
    await report({ totalTokens: BigInt(said), lastAiMessage: words.slice(0, said).join(" ") });
  }
  return { totalTokens: BigInt(words.length) };
}
