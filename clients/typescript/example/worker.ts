// A worker of the assistant "echo": claims its runs, four at a time, and returns their input as the result. After
// Ctrl-C or SIGTERM it claims no more runs, and lets those in progress finish for 30 seconds. After a second one it
// gives them back.

import { setTimeout } from "node:timers/promises";
import { type Execution, RunClient, RunError } from "@runsvc/client";

const client = new RunClient();
const worker = client.worker(
  {
    assistants: ["echo"],
    concurrency: 4,
    onEnd: ({ runId }, end) => console.log(`${runId} ${end instanceof RunError ? end.message : end.outcome}`),
  },
  echo,
);

let isStopping = false;
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    console.log(`Finishing the runs in progress: ${worker.health.running}`);
    worker.stop(isStopping ? 0 : undefined);
    isStopping = true;
  });
}

console.log("Waiting for runs; stop with Ctrl-C");
await worker.run();
client.close();

/** The handler. */
async function echo({ run, signal }: Execution) {
  if (!run.kwargs?.input) throw new Error("the run has no input");
  // Rejects when the run is stopped.
  await setTimeout(1_000, undefined, { signal });
  return { result: { output: run.kwargs.input } };
}
