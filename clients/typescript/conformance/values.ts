// Converts messages and errors to and from the JSON of the suite: see "How values are written" in
// clients/conformance/README.md.

import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  isFieldSet,
  type MessageInitShape,
  type MessageShape,
  ScalarType,
} from "@bufbuild/protobuf";
import { type Duration, durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import {
  Code,
  FailedPreconditionError,
  InvalidArgumentError,
  NotFoundError,
  type Run,
  type RunError,
  ThreadBusyError,
  UnavailableError,
} from "@runsvc/client";
import { RunSchema } from "@runsvc/client/v1";

/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | Fields;
export type Fields = { [key: string]: Json };

/** Performs a command with these fields. The result is the `ok` of the answer. */
export type Command = (fields: Fields) => Promise<Json> | Json;

/** The fields that are not part of an answer: see RUN in clients/conformance/README.md. */
const UNWRITTEN: ReadonlySet<string> = new Set([
  "runsvc.v1.Run.attempt",
  "runsvc.v1.Run.fencing_token",
  "runsvc.v1.Run.handover",
  "runsvc.v1.Run.priority",
  "runsvc.v1.Run.retry",
  "runsvc.v1.Cancellation.requested_by",
]);

/** Convert a message for an answer. Unset, empty and zero fields are left out. */
export function write<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Fields {
  const values = message as unknown as Record<string, unknown>;
  const set = schema.fields.filter(
    (field) => isFieldSet(message, field) && !UNWRITTEN.has(`${schema.typeName}.${field.name}`),
  );
  return Object.assign({}, ...set.map((field) => writeField(field, values[field.localName])));
}

/** Convert a run for an answer. */
export function writeRun(run: Run): Fields {
  return write(RunSchema, run);
}

/** A text that a command may leave out. */
export function text(value: Json | undefined): string {
  return (value as string | undefined) ?? "";
}

/** Convert the fields of a command to a message. */
export function read<Desc extends DescMessage>(schema: Desc, fields: Fields): MessageShape<Desc> {
  const given = schema.fields.map((field) => [field.localName, readField(field, fields)]);
  return create(schema, Object.fromEntries(given) as MessageInitShape<Desc>);
}

/** The number of an enum value, from its name or from the number itself. */
function numberOf(schema: DescEnum, value: Json): number {
  if (typeof value === "number") return value;
  const found = schema.values.find((each) => each.localName.toLowerCase() === value);
  if (!found) throw new Error(`${schema.name} has no value ${value}`);
  return found.number;
}

/** The name of an enum value, or its number if it has no name. */
export function nameOf(schema: DescEnum, value: number): Json {
  return schema.value[value]?.localName.toLowerCase() ?? value;
}

/** Convert an error for an answer. */
export function writeError(error: RunError): Fields {
  const { reason, metadata, violations, retryAfterMs } = error;
  const kind = KINDS.find(([Kind]) => error instanceof Kind)?.[1];
  return {
    code: codeOf(error.code),
    ...(reason && { reason }),
    ...(Object.keys(metadata).length > 0 && { metadata: { ...metadata } }),
    ...(violations.length > 0 && { violations: violations.map(({ field }) => field) }),
    ...(kind && { kind }),
    ...(retryAfterMs !== undefined && { retry_after_ms: retryAfterMs }),
  };
}

const KINDS = [
  [NotFoundError, "not_found"],
  [ThreadBusyError, "thread_busy"],
  [FailedPreconditionError, "failed_precondition"],
  [InvalidArgumentError, "invalid_argument"],
  [UnavailableError, "unavailable"],
] as const;

function codeOf(code: Code): string {
  if (code === Code.Canceled) return "CANCELLED";
  return Code[code].replace(/(?<=[a-z])[A-Z]/g, "_$&").toUpperCase();
}

function writeField(field: DescField, value: unknown): Fields {
  if (field.fieldKind === "message") return writeMessage(field.name, field.message, value);
  if (field.fieldKind === "enum") return { [field.name]: nameOf(field.enum, value as number) };
  if (field.fieldKind === "map" && field.mapKind === "message") {
    const { message } = field;
    const entries = Object.entries(value as Record<string, MessageShape<DescMessage>>);
    return { [field.name]: Object.fromEntries(entries.map(([key, each]) => [key, write(message, each)])) };
  }
  if (typeof value === "bigint") return { [field.name]: writeInteger(value) };
  return value === "" ? {} : { [field.name]: value as Json };
}

function writeMessage(name: string, schema: DescMessage, value: unknown): Fields {
  const typeName = schema.typeName.replace(/.*\./, "");
  if (typeName === "Timestamp") return name === "acknowledged_at" ? { acknowledged: true } : {};
  if (typeName === "Duration") return { [`${name}_ms`]: durationMs(value as Duration) };
  const inner = typeName === "Struct" ? (value as Fields) : write(schema, value as MessageShape<DescMessage>);
  if (typeName === "Lease") return inner.ttl_ms === undefined ? {} : { lease_ttl_ms: inner.ttl_ms };
  return Object.keys(inner).length > 0 ? { [name]: inner } : {};
}

/** A number if a double holds it exactly, otherwise its digits. */
function writeInteger(value: bigint): Json {
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}

const WIDE: ReadonlySet<ScalarType> = new Set([ScalarType.INT64, ScalarType.UINT64]);

function readField(field: DescField, fields: Fields): unknown {
  if (field.fieldKind === "message" && field.message.typeName === "google.protobuf.Duration") {
    const milliseconds = fields[`${field.name}_ms`];
    return milliseconds === undefined ? undefined : durationFromMs(Number(milliseconds));
  }
  const value = fields[field.name];
  if (value === undefined) return undefined;
  if (field.fieldKind === "enum") return numberOf(field.enum, value);
  if (field.fieldKind === "list" && field.listKind === "enum")
    return (value as Json[]).map((each) => numberOf(field.enum, each));
  if (field.fieldKind === "map" && field.mapKind === "message") {
    const { message } = field;
    const entries = Object.entries(value as Record<string, Fields>);
    return Object.fromEntries(entries.map(([key, each]) => [key, read(message, each)]));
  }
  if (field.fieldKind === "message" && field.message.typeName !== "google.protobuf.Struct") {
    return read(field.message, value as Fields);
  }
  return field.fieldKind === "scalar" && WIDE.has(field.scalar) ? BigInt(value as number | string) : value;
}
