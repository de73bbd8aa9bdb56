// The commands that are one call each, and the page iterator.

import { durationMs, type RunClient, type RunSpecInit } from "@runsvc/client";
import {
  AcknowledgeCancelRequestSchema,
  CancelOutcomeSchema,
  CancelRequestSchema,
  CompleteRequestSchema,
  ListByThreadRequestSchema,
  type Run,
  RunSchema,
  RunSpecSchema,
  SetStatusRequestSchema,
  UpdateProgressRequestSchema,
} from "@runsvc/client/v1";
import type { Command } from "./driver.js";
import { type Fields, type Json, nameOf, read, written } from "./values.js";

/** The commands of calls. */
export function callsOf(client: RunClient): Record<string, Command> {
  return {
    create: async (fields) => {
      const { run, replayed } = await client.create(specOf(fields), {
        ...deadline(fields),
        ...requestId(fields),
      });
      return { run: writtenRun(run), replayed };
    },
    create_or_reject: async (fields) => {
      const options = { ...deadline(fields), ...requestId(fields) };
      const { run, replayed, superseded } = await client.createOrReject(specOf(fields), options);
      return { run: writtenRun(run), replayed, superseded: superseded.map(writtenRun) };
    },
    get: async (fields) => ({ run: writtenRun(await client.get(text(fields.run_id), deadline(fields))) }),
    list: (fields) => listed(client, fields, Number.POSITIVE_INFINITY),
    list_first: (fields) => listed(client, fields, Number(fields.count)),
    has_inflight: async (fields) => {
      const { hasInflight, runIds } = await client.hasInflight(text(fields.thread_id), deadline(fields));
      return { has_inflight: hasInflight, run_ids: runIds };
    },
    set_status: async (fields) => {
      const { runId, status, leaseTtl, ...report } = read(SetStatusRequestSchema, fields);
      const leaseTtlMs = leaseTtl && durationMs(leaseTtl);
      const { run, changed } = await client.setStatus(runId, status, {
        ...report,
        leaseTtlMs,
        ...deadline(fields),
      });
      return { run: writtenRun(run), changed };
    },
    complete: async (fields) => {
      const { runId, status, ...report } = read(CompleteRequestSchema, fields);
      const { run, changed } = await client.complete(runId, status, { ...report, ...deadline(fields) });
      return { run: writtenRun(run), changed };
    },
    update_progress: async (fields) => {
      const { runId, progress = {}, ...report } = read(UpdateProgressRequestSchema, fields);
      const { run, applied } = await client.updateProgress(runId, progress, {
        ...report,
        ...deadline(fields),
      });
      return { run: writtenRun(run), applied };
    },
    update_model_name: async ({ run_id, model_name, ...fields }) => {
      const name = model_name as string | undefined;
      return { run: writtenRun(await client.updateModelName(text(run_id), name, deadline(fields))) };
    },
    heartbeat: async (fields) => {
      const run = await client.heartbeat(text(fields.run_id), text(fields.worker_id), deadline(fields));
      return { run: writtenRun(run) };
    },
    cancel: async (fields) => {
      const { runId, ...how } = read(CancelRequestSchema, fields);
      const { run, outcome } = await client.cancel(runId, { ...how, ...deadline(fields) });
      return { run: writtenRun(run), outcome: nameOf(CancelOutcomeSchema, outcome) };
    },
    acknowledge_cancel: async (fields) => {
      const { runId, ...report } = read(AcknowledgeCancelRequestSchema, fields);
      const { run, changed } = await client.acknowledgeCancel(runId, { ...report, ...deadline(fields) });
      return { run: writtenRun(run), changed };
    },
  };
}

/** A run as an answer writes it. */
export function writtenRun(run: Run): Fields {
  return written(RunSchema, run);
}

/** A text that a command may leave out. */
export function text(value: Json | undefined): string {
  return (value as string | undefined) ?? "";
}

async function listed(client: RunClient, fields: Fields, count: number): Promise<Json> {
  const { threadId, pageSize, statuses } = read(ListByThreadRequestSchema, fields);
  const runs: Json[] = [];
  for await (const run of client.listByThread(threadId, { pageSize, statuses, ...deadline(fields) })) {
    runs.push(writtenRun(run));
    if (runs.length >= count) break;
  }
  return { runs };
}

function specOf({ spec }: Fields): RunSpecInit {
  // A spec that is missing is for the server to refuse.
  return spec === undefined ? (spec as never) : read(RunSpecSchema, spec as Fields);
}

function deadline({ timeout_ms }: Fields): { timeoutMs?: number } {
  return timeout_ms === undefined ? {} : { timeoutMs: Number(timeout_ms) };
}

function requestId({ request_id }: Fields): { requestId?: string } {
  return request_id === undefined ? {} : { requestId: text(request_id) };
}
