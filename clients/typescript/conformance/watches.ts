// The commands for watches.

import { type RunClient, StatusEvent, type Watch, type WatchOptions, type WatchTarget } from "@runsvc/client";
import { StreamStatusRequestSchema, StreamStatusResponseSchema } from "@runsvc/client/v1";
import { type Command, type Fields, type Json, read, write } from "./values.js";

export function watchesOf(client: RunClient): Record<string, Command> {
  const watches = new Map<Json, Watch>();
  return {
    watch: ({ w = null, ...fields }) => {
      watches.set(w, open(client, fields));
      return {};
    },
    next: async ({ w = null }) => nextEvent(watches.get(w)),
    unwatch: async ({ w = null }) => {
      await watches.get(w)?.return?.();
      watches.delete(w);
      return {};
    },
    watch_and_leave: async ({ rounds = 0, ...fields }) => {
      for (let round = 0; round < Number(rounds); round++) {
        for await (const _ of open(client, fields)) break;
      }
      return {};
    },
  };
}

function open(client: RunClient, fields: Fields): Watch {
  const { outage_ms, ...request } = fields;
  const { afterRevision, storeId, includeProgress, attach, untilAcknowledged } = read(
    StreamStatusRequestSchema,
    request,
  );
  const options: WatchOptions = { afterRevision, storeId, includeProgress, attach, untilAcknowledged };
  if (request.heartbeat_interval_ms !== undefined)
    options.heartbeatIntervalMs = Number(request.heartbeat_interval_ms);
  if (outage_ms !== undefined) options.outageMs = Number(outage_ms);
  return client.watch(targetOf(request), options);
}

function targetOf({ run_id, thread_id, all }: Fields): WatchTarget {
  if (run_id !== undefined) return { runId: run_id as string };
  if (thread_id !== undefined) return { threadId: thread_id as string };
  // The server refuses a missing target.
  if (all === undefined) return {} as never;
  const { assistant_id } = all as Fields;
  return { all: assistant_id === undefined ? {} : { assistantId: assistant_id as string } };
}

async function nextEvent(watch: Watch | undefined): Promise<Json> {
  if (!watch) throw new Error("unknown watch");
  for (;;) {
    const { done, value } = await watch.next();
    if (done) return { end: true };
    if (value.event !== StatusEvent.HEARTBEAT) return write(StreamStatusResponseSchema, value);
  }
}
