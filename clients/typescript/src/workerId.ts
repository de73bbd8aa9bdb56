// Default worker ids.

import { randomBytes } from "node:crypto";
import { hostname } from "node:os";

const LONGEST_HOST = 64;

/** A worker id that no other execution has: host name, process id and a random number. */
export function newWorkerId(host = hostname()): string {
  // An id begins with a letter or a digit, and has few other characters.
  const allowed = host.replace(/[^A-Za-z0-9.-]/g, "").replace(/^[.-]+/, "");
  return `${allowed.slice(0, LONGEST_HOST) || "host"}-${process.pid}-${randomBytes(4).toString("hex")}`;
}
