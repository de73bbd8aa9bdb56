// Create a run, execute it with a lease, and print how it ended.

import { RunClient, RunStatus } from "@runsvc/client";

const workerId = "typescript-executor";

const client = new RunClient();
const { run } = await client.create({ threadId: "typescript" });
await client.setStatus(run.runId, RunStatus.RUNNING, { workerId, leaseTtlMs: 30_000 });
await client.heartbeat(run.runId, workerId);
await client.complete(run.runId, RunStatus.SUCCESS, { workerId });
const ended = await client.get(run.runId);
console.log(ended.runId, RunStatus[ended.status]);
client.close();
