// The end of a handler, as it is reported.

import { clone, create, isFieldSet, type JsonObject, merge, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { RunError } from "./errors.js";
import type { Outcome } from "./execution.js";
import { ModelUsageSchema, type Progress, ProgressSchema } from "./gen/runsvc/v1/run_pb.js";
import { CompleteRequestSchema } from "./gen/runsvc/v1/run_service_pb.js";
import type { ProgressInit } from "./options.js";
import { withShortPreviews } from "./report.js";

/** The largest usage and result that fit into a report of the end, in bytes: the server accepts messages of 4 MiB. */
const MAX_BYTES = 4 * 1024 * 1024 - 32 * 1024;
/** The deepest result that is sent. The server accepts fewer levels; a deeper message cannot be decoded. */
const MAX_LEVELS = 30;

/** The parts of the report of the end. */
export interface End {
  progress: Progress | undefined;
  result: JsonObject | undefined;
  stopReason: string | undefined;
  /** The error of the handler, if any. */
  failure: { error?: unknown };
}

/** Split what a handler returned into its usage and the rest of the outcome. */
export function readOutcome(returned: Outcome | ProgressInit | undefined): {
  usages: ProgressInit[];
  result?: JsonObject;
  stopReason?: string;
} {
  if (!returned) return { usages: [] };
  // Usage without a result is returned as it is.
  const { progress, result, stopReason, ...usage } = returned as Outcome & ProgressInit;
  return {
    usages: progress ? [usage, progress] : [usage],
    ...(result !== undefined && { result }),
    ...(stopReason !== undefined && { stopReason }),
  };
}

/**
 * Merge progress as the server does: by field, and by model the fields of each. Throws if it cannot be serialized, which
 * would otherwise count as transient.
 */
export function mergedProgress(progress: Progress, more: ProgressInit): Progress {
  const total = clone(ProgressSchema, progress);
  const byModel = { ...total.byModel };
  merge(ProgressSchema, total, create(ProgressSchema, more));
  for (const [model, usage] of Object.entries(byModel)) {
    const newer = total.byModel[model];
    const both = clone(ModelUsageSchema, usage);
    if (newer && newer !== usage) merge(ModelUsageSchema, both, newer);
    total.byModel[model] = both;
  }
  toBinary(ProgressSchema, withShortPreviews(total));
  return total;
}

/** Whether no field is set. */
export function isEmpty(progress: Progress): boolean {
  return !ProgressSchema.fields.some((field) => isFieldSet(progress, field));
}

/**
 * Remove the parts without which the end can be reported, if the server has rejected the report. Returns whether there
 * were any.
 */
export function dropRejected(end: End, rejection: RunError): boolean {
  const { progress, result, stopReason } = end;
  const hasParts = progress !== undefined || result !== undefined || stopReason !== undefined;
  if (!hasParts || rejection.code !== Code.InvalidArgument) return false;
  Object.assign(end, { progress: undefined, result: undefined, stopReason: undefined });
  return true;
}

/** The rejection of parts that no message can hold, or that are too large for one. */
export function unsendable({ progress, result }: End): RunError | undefined {
  const usage = progress ? toBinary(ProgressSchema, progress).length : 0;
  if (usage > MAX_BYTES) return rejection("progress", `has ${usage} bytes, more than ${MAX_BYTES}`);
  if (result === undefined) return undefined;
  const fault = faultOf(result, MAX_LEVELS);
  if (fault) return rejection("result", fault);
  const bytes = usage + toBinary(CompleteRequestSchema, create(CompleteRequestSchema, { result })).length;
  return bytes > MAX_BYTES ? rejection("result", `has ${bytes} bytes, more than ${MAX_BYTES}`) : undefined;
}

/** What prevents a value from being sent: its depth, or a part that is not JSON. */
function faultOf(value: unknown, levels: number): string | undefined {
  if (value === null || typeof value === "string" || typeof value === "boolean") return undefined;
  if (typeof value === "number") return Number.isFinite(value) ? undefined : `contains ${value}`;
  if (typeof value !== "object") return `contains a value of type ${typeof value}, which is not JSON`;
  if (levels === 0) return `has more than ${MAX_LEVELS} levels`;
  for (const inner of Object.values(value)) {
    const fault = faultOf(inner, levels - 1);
    if (fault) return fault;
  }
  return undefined;
}

/** An error as the server sends it. */
function rejection(field: string, description: string): RunError {
  const cause = new ConnectError(`${field} ${description}`, Code.InvalidArgument);
  return RunError.from(cause, [{ field, description }]);
}
