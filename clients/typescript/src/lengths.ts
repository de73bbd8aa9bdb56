// Lengths of time in options, in milliseconds.

import { type Duration, durationFromMs } from "@bufbuild/protobuf/wkt";

/** The longest length that a message can hold: some 10,000 years. */
const LONGEST_MS = 315_576_000_000_000;

/** The length. Throws a RangeError if it is not a number. */
export function checkLength(name: string, milliseconds: number): number {
  if (typeof milliseconds === "number" && !Number.isNaN(milliseconds)) return milliseconds;
  throw new RangeError(`${name} is ${milliseconds}; set it to a number of milliseconds`);
}

/**
 * The length as a message. A longer one than a message can hold becomes the longest: the server rejects it, instead of
 * receiving none.
 */
export function durationOf(name: string, milliseconds: number | undefined): Duration | undefined {
  if (milliseconds === undefined) return undefined;
  const length = checkLength(name, milliseconds);
  return durationFromMs(Math.round(Math.max(-LONGEST_MS, Math.min(length, LONGEST_MS))));
}
