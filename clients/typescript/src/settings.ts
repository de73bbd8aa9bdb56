// Where the server is and how to speak to it: from options, and from the environment where these are left out.

import { readFileSync } from "node:fs";
import type { Interceptor } from "@connectrpc/connect";

/** Where `runsvc serve` listens unless told otherwise. */
export const DEFAULT_TARGET = "127.0.0.1:50051";

const DEFAULT_TIMEOUT_MS = 10_000;

/** What stands behind "Bearer" in every call, or a function that is asked for it before every call. */
export type Token = string | (() => string | Promise<string>);

/**
 * How a client is made. What is left out comes from the environment; an explicit `null` is a value, and switches the
 * environment off.
 */
export interface ClientOptions {
  /** Else RUNSVC_TOKEN. `null`: no token is sent. */
  token?: Token | null;
  /**
   * The certificates that the server's must lead to: a file in PEM, or its content as bytes. Else the file that
   * RUNSVC_TLS_CA names. `null`: no TLS.
   */
  tlsCa?: string | Uint8Array | null;
  /** Deadline of every call but watches, in milliseconds; 0: none. Else RUNSVC_TIMEOUT, in seconds; else 10 seconds. */
  timeoutMs?: number | null;
  /** What every attempt at a call and every stream goes through, for tracing and the like. */
  interceptors?: readonly Interceptor[];
}

/** What a client is made from. */
export interface Settings {
  /** Where the server is, as the transport wants it. */
  readonly baseUrl: string;
  readonly token: Token | undefined;
  /** PEM. */
  readonly certificates: Uint8Array | undefined;
  readonly timeoutMs: number;
  readonly interceptors: readonly Interceptor[];
}

/**
 * Options where they are given, else the environment, else the defaults.
 *
 * @throws RangeError for a target that is no address or a timeout that is no time; what readFileSync throws for
 * certificates that cannot be read.
 */
export function settingsOf(
  target: string | null | undefined,
  options: ClientOptions,
  environment: NodeJS.ProcessEnv,
): Settings {
  const certificates = given(options.tlsCa, environment.RUNSVC_TLS_CA);
  const secure = certificates !== undefined;
  return {
    baseUrl: urlOf(given(target, environment.RUNSVC_TARGET) ?? DEFAULT_TARGET, secure),
    token: given(options.token, environment.RUNSVC_TOKEN),
    certificates: typeof certificates === "string" ? readFileSync(certificates) : certificates,
    timeoutMs: timeoutOf(options.timeoutMs, environment.RUNSVC_TIMEOUT),
    interceptors: options.interceptors ?? [],
  };
}

/** A variable that is set to nothing is meant to be no variable. */
function given<T>(option: T | null | undefined, variable: string | undefined): T | string | undefined {
  return option === undefined ? variable || undefined : (option ?? undefined);
}

function urlOf(target: string, secure: boolean): string {
  const address = target.replace(/^(dns:(\/\/\/)?|ipv[46]:)/, "");
  const url = /^[^/?#@\s]+:\d+$/.test(address) ? `${secure ? "https" : "http"}://${address}` : "";
  if (!URL.canParse(url)) {
    throw new RangeError(`${JSON.stringify(target)} is no address: host:port is one, as ${DEFAULT_TARGET}`);
  }
  return url;
}

function timeoutOf(option: number | null | undefined, variable: string | undefined): number {
  if (option === null || (option === undefined && !variable)) return DEFAULT_TIMEOUT_MS;
  if (option !== undefined) {
    if (option >= 0) return option;
    throw new RangeError(`timeoutMs is ${option}, which is no number of milliseconds`);
  }
  const seconds = Number(variable);
  if (seconds > 0 && seconds < Number.POSITIVE_INFINITY) return seconds * 1000;
  throw new RangeError(
    `RUNSVC_TIMEOUT is ${JSON.stringify(variable)}, which is no number of seconds above 0`,
  );
}
