// Reads the three google.rpc messages in the errors of runsvc by field number, which is shorter than generating their
// schemas.

import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** One invalid field of a request. */
export interface Violation {
  /** The path of the field in the request, such as `spec.thread_id`. */
  readonly field: string;
  /** The rule that the field violates, for people. */
  readonly description: string;
}

/** Read a google.rpc.ErrorInfo. */
export function readErrorInfo(bytes: Uint8Array): {
  reason: string;
  domain: string;
  metadata: Record<string, string>;
} {
  const info = { reason: "", domain: "", metadata: {} as Record<string, string> };
  read(bytes, {
    1: (reader) => {
      info.reason = reader.string();
    },
    2: (reader) => {
      info.domain = reader.string();
    },
    3: (reader) => {
      const { 1: key = "", 2: value = "" } = readTexts(reader.bytes());
      info.metadata[key] = value;
    },
  });
  return info;
}

/** Read a google.rpc.BadRequest. */
export function readBadRequest(bytes: Uint8Array): Violation[] {
  const violations: Violation[] = [];
  read(bytes, {
    1: (reader) => {
      const { 1: field = "", 2: description = "" } = readTexts(reader.bytes());
      violations.push({ field, description });
    },
  });
  return violations;
}

/** Read a google.rpc.RetryInfo. Returns milliseconds. */
export function readRetryInfo(bytes: Uint8Array): number {
  let milliseconds = 0;
  read(bytes, {
    1: (delay) =>
      read(delay.bytes(), {
        1: (reader) => {
          milliseconds += Number(reader.int64()) * 1e3;
        },
        2: (reader) => {
          milliseconds += reader.int32() / 1e6;
        },
      }),
  });
  return milliseconds;
}

type Fields = Record<number, (reader: BinaryReader) => void>;

/** Read a message with texts in fields 1 and 2: an entry of a map, or a violation. */
function readTexts(bytes: Uint8Array): Record<number, string> {
  const texts: Record<number, string> = {};
  const take = (number: number) => (reader: BinaryReader) => {
    texts[number] = reader.string();
  };
  read(bytes, { 1: take(1), 2: take(2) });
  return texts;
}

function read(bytes: Uint8Array, fields: Fields): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const expected = wireType === WireType.LengthDelimited || wireType === WireType.Varint;
    const field = expected ? fields[number] : undefined;
    if (field) field(reader);
    else reader.skip(wireType, number);
  }
}
