// The commands for calls and for the page iterator.

import { durationMs, type RunClient, type RunSpecInit } from "@runsvc/client";
import {
  AcknowledgeCancelRequestSchema,
  CancelOutcomeSchema,
  CancelRequestSchema,
  CompleteRequestSchema,
  ListByThreadRequestSchema,
  RunSpecSchema,
  SetStatusRequestSchema,
  UpdateMetadataRequestSchema,
  UpdateProgressRequestSchema,
} from "@runsvc/client/v1";
import { type Command, type Fields, type Json, nameOf, read, text, writeRun } from "./values.js";

export function callsOf(client: RunClient): Record<string, Command> {
  return {
    create: async (fields) => {
      const { run, replayed } = await client.create(specOf(fields), {
        ...deadline(fields),
        ...requestId(fields),
      });
      return { run: writeRun(run), replayed };
    },
    create_or_reject: async (fields) => {
      const options = { ...deadline(fields), ...requestId(fields) };
      const { run, replayed, superseded } = await client.createOrReject(specOf(fields), options);
      return { run: writeRun(run), replayed, superseded: superseded.map(writeRun) };
    },
    get: async (fields) => ({ run: writeRun(await client.get(text(fields.run_id), deadline(fields))) }),
    list: (fields) => list(client, fields, Number.POSITIVE_INFINITY),
    list_first: (fields) => list(client, fields, Number(fields.count)),
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
      return { run: writeRun(run), changed };
    },
    complete: async (fields) => {
      const { runId, status, ...report } = read(CompleteRequestSchema, fields);
      const { run, changed } = await client.complete(runId, status, { ...report, ...deadline(fields) });
      return { run: writeRun(run), changed };
    },
    update_progress: async (fields) => {
      const { runId, progress = {}, ...report } = read(UpdateProgressRequestSchema, fields);
      const { run, applied } = await client.updateProgress(runId, progress, {
        ...report,
        ...deadline(fields),
      });
      return { run: writeRun(run), applied };
    },
    update_model_name: async ({ run_id, model_name, ...fields }) => {
      const name = model_name as string | undefined;
      return { run: writeRun(await client.updateModelName(text(run_id), name, deadline(fields))) };
    },
    update_metadata: async (fields) => {
      const { runId, set, remove } = read(UpdateMetadataRequestSchema, fields);
      const { run, changed } = await client.updateMetadata(runId, { set, remove }, deadline(fields));
      return { run: writeRun(run), changed };
    },
    heartbeat: async (fields) => {
      const run = await client.heartbeat(text(fields.run_id), text(fields.worker_id), deadline(fields));
      return { run: writeRun(run) };
    },
    cancel: async (fields) => {
      const { runId, ...how } = read(CancelRequestSchema, fields);
      const { run, outcome } = await client.cancel(runId, { ...how, ...deadline(fields) });
      return { run: writeRun(run), outcome: nameOf(CancelOutcomeSchema, outcome) };
    },
    acknowledge_cancel: async (fields) => {
      const { runId, ...report } = read(AcknowledgeCancelRequestSchema, fields);
      const { run, changed } = await client.acknowledgeCancel(runId, { ...report, ...deadline(fields) });
      return { run: writeRun(run), changed };
    },
  };
}

async function list(client: RunClient, fields: Fields, limit: number): Promise<Json> {
  const { threadId, pageSize, statuses } = read(ListByThreadRequestSchema, fields);
  const runs: Json[] = [];
  for await (const run of client.listByThread(threadId, { pageSize, statuses, ...deadline(fields) })) {
    runs.push(writeRun(run));
    if (runs.length >= limit) break;
  }
  return { runs };
}

function specOf({ spec }: Fields): RunSpecInit {
  // The server refuses a missing spec.
  return spec === undefined ? (spec as never) : read(RunSpecSchema, spec as Fields);
}

function deadline({ timeout_ms }: Fields): { timeoutMs?: number } {
  return timeout_ms === undefined ? {} : { timeoutMs: Number(timeout_ms) };
}

function requestId({ request_id }: Fields): { requestId?: string } {
  return request_id === undefined ? {} : { requestId: text(request_id) };
}
