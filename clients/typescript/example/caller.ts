// Creates a run of the assistant "echo" on the thread chat-1 and watches it until it ends. Ctrl-C cancels the run.

import { randomUUID } from "node:crypto";
import {
  isTerminal,
  RunClient,
  RunStatus,
  StatusEvent,
  ThreadBusyError,
  UnavailableError,
} from "@runsvc/client";

const input = process.argv.slice(2).join(" ") || "hello world";
const client = new RunClient();
try {
  const spec = { threadId: "chat-1", assistantId: "echo", kwargs: { input } };
  // With a request id the client can retry the creation: repeated requests return the same run.
  const { run } = await client.createOrReject(spec, { requestId: randomUUID() });
  process.once("SIGINT", () => void client.cancel(run.runId));
  for await (const { event, run: now } of client.watch({ runId: run.runId }, { includeProgress: true })) {
    if (!now) continue;
    console.log(StatusEvent[event], RunStatus[now.status], now.error ?? now.progress?.lastAiMessage ?? "");
    if (isTerminal(now.status)) console.log(`tokens: ${now.progress?.totalTokens ?? "none"}`);
  }
} catch (error) {
  if (error instanceof ThreadBusyError) {
    console.log(`chat-1 is busy with run ${error.metadata.run_id}`);
  } else if (error instanceof UnavailableError) {
    console.error("No runsvc server answers; start one with `make run`");
    process.exitCode = 1;
  } else {
    throw error;
  }
} finally {
  client.close();
}
