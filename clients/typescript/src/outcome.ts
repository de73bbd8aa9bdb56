// The end of a handler, as it is reported.

import {
  clone,
  create,
  isFieldSet,
  type JsonObject,
  type JsonValue,
  merge,
  toBinary,
} from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { RunError } from "./errors.js";
import type { Outcome } from "./execution.js";
import { ModelUsageSchema, type Progress, ProgressSchema } from "./gen/runsvc/v1/run_pb.js";
import { CompleteRequestSchema } from "./gen/runsvc/v1/run_service_pb.js";
import type { ProgressInit } from "./options.js";
import { errorText, withShortPreviews } from "./report.js";

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
 * Merge progress as the server does: by field, and by model the fields of each. Throws if it cannot be serialized,
 * which would otherwise count as transient.
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

/**
 * The rejection of parts that no message can hold, or that are too large for one. The result is replaced by a copy,
 * whose properties can be read without a failure.
 */
export function unsendable(end: End): RunError | undefined {
  const usage = end.progress ? toBinary(ProgressSchema, end.progress).length : 0;
  if (usage > MAX_BYTES) return rejection("progress", `has ${usage} bytes, more than ${MAX_BYTES}`);
  if (end.result === undefined) return undefined;
  try {
    end.result = copied(end.result, MAX_LEVELS) as JsonObject;
    const request = create(CompleteRequestSchema, { result: end.result });
    const bytes = usage + toBinary(CompleteRequestSchema, request).length;
    return bytes > MAX_BYTES ? rejection("result", `has ${bytes} bytes, more than ${MAX_BYTES}`) : undefined;
  } catch (error) {
    return rejection("result", errorText(error));
  }
}

/** A copy of a JSON value. Throws if it is too deep, or not JSON. */
function copied(value: unknown, levels: number): JsonValue {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (typeof value === "number") throw new RangeError(`contains ${value}`);
  if (typeof value !== "object") throw new TypeError(`contains a ${typeof value}, which is not JSON`);
  if (levels === 0) throw new RangeError(`has more than ${MAX_LEVELS} levels`);
  if (Array.isArray(value)) return value.map((inner) => copied(inner, levels - 1));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, copied(inner, levels - 1)]));
}

/** An error as the server sends it. */
function rejection(field: string, description: string): RunError {
  const cause = new ConnectError(`${field} ${description}`, Code.InvalidArgument);
  return RunError.from(cause, [{ field, description }]);
}
