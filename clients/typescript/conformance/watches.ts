// The commands of watches, which are pulled.

import { type RunClient, StatusEvent, type Watch, type WatchOptions, type WatchTarget } from "@runsvc/client";
import { StreamStatusRequestSchema, StreamStatusResponseSchema } from "@runsvc/client/v1";
import type { Command } from "./driver.js";
import { type Fields, type Json, read, written } from "./values.js";

/** The commands of watches. */
export function watchesOf(client: RunClient): Record<string, Command> {
  const watches = new Map<Json, Watch>();
  return {
    watch: ({ w = null, ...fields }) => {
      watches.set(w, opened(client, fields));
      return {};
    },
    next: async ({ w = null }) => nextOf(watches.get(w)),
    unwatch: async ({ w = null }) => {
      await watches.get(w)?.return?.();
      watches.delete(w);
      return {};
    },
    watch_and_leave: async ({ rounds = 0, ...fields }) => {
      for (let round = 0; round < Number(rounds); round++) {
        for await (const _ of opened(client, fields)) break;
      }
      return {};
    },
  };
}

function opened(client: RunClient, fields: Fields): Watch {
  const { outage_ms, ...asked } = fields;
  const { afterRevision, storeId, includeProgress, attach, untilAcknowledged } = read(
    StreamStatusRequestSchema,
    asked,
  );
  const options: WatchOptions = { afterRevision, storeId, includeProgress, attach, untilAcknowledged };
  if (asked.heartbeat_interval_ms !== undefined)
    options.heartbeatIntervalMs = Number(asked.heartbeat_interval_ms);
  if (outage_ms !== undefined) options.outageMs = Number(outage_ms);
  return client.watch(targetOf(asked), options);
}

function targetOf({ run_id, thread_id, all }: Fields): WatchTarget {
  if (run_id !== undefined) return { runId: run_id as string };
  if (thread_id !== undefined) return { threadId: thread_id as string };
  // A target that is missing is for the server to refuse.
  if (all === undefined) return {} as never;
  const { assistant_id } = all as Fields;
  return { all: assistant_id === undefined ? {} : { assistantId: assistant_id as string } };
}

async function nextOf(watch: Watch | undefined): Promise<Json> {
  if (!watch) throw new Error("there is no such watch");
  for (;;) {
    const { done, value } = await watch.next();
    if (done) return { end: true };
    if (value.event !== StatusEvent.HEARTBEAT) return written(StreamStatusResponseSchema, value);
  }
}
