// The settings of a client, from options and from the environment.

import { readFileSync } from "node:fs";
import type { Interceptor } from "@connectrpc/connect";

/** The address on which `runsvc serve` listens by default. */
export const DEFAULT_TARGET = "127.0.0.1:50051";

const DEFAULT_TIMEOUT_MS = 10_000;

/** The token, or a function that returns it and is called before every call and every connection of a watch. */
export type Token = string | (() => string | Promise<string>);

/**
 * The settings of a client. An option that is left out comes from its environment variable. `null` ignores the variable
 * and takes the default.
 */
export interface ClientOptions {
  /** The token, sent as `authorization: Bearer …`. Variable: `RUNSVC_TOKEN`. Default: no token is sent. */
  token?: Token | null;
  /**
   * The certificates to trust: the path of a PEM file, or its content as bytes. Switches TLS on. Variable:
   * `RUNSVC_TLS_CA`, a path. Default: no TLS.
   */
  tlsCa?: string | Uint8Array | null;
  /**
   * Default deadline of calls in milliseconds; 0 means none. A watch has no deadline. Variable: `RUNSVC_TIMEOUT`, in
   * seconds. Default: 10 seconds.
   */
  timeoutMs?: number | null;
  /** Interceptors for every attempt at a call and every connection of a watch, for example for tracing. */
  interceptors?: readonly Interceptor[];
}

/** Resolved settings. */
export interface Settings {
  /** The URL of the server. */
  readonly baseUrl: string;
  readonly token: Token | undefined;
  /** PEM. */
  readonly certificates: Uint8Array | undefined;
  readonly timeoutMs: number;
  readonly interceptors: readonly Interceptor[];
}

/**
 * Resolve the options against the environment and the defaults.
 *
 * @throws RangeError if the target or the timeout is invalid; the error of readFileSync if the certificates cannot be
 * read.
 */
export function settingsOf(
  target: string | null | undefined,
  options: ClientOptions,
  environment: NodeJS.ProcessEnv,
): Settings {
  const certificates = resolve(options.tlsCa, environment.RUNSVC_TLS_CA);
  const secure = certificates !== undefined;
  return {
    baseUrl: urlOf(resolve(target, environment.RUNSVC_TARGET) ?? DEFAULT_TARGET, secure),
    token: resolve(options.token, environment.RUNSVC_TOKEN),
    certificates: typeof certificates === "string" ? readFileSync(certificates) : certificates,
    timeoutMs: timeoutOf(options.timeoutMs, environment.RUNSVC_TIMEOUT),
    interceptors: options.interceptors ?? [],
  };
}

/** The option, or the variable. An empty variable counts as unset. */
function resolve<T>(option: T | null | undefined, variable: string | undefined): T | string | undefined {
  return option === undefined ? variable || undefined : (option ?? undefined);
}

function urlOf(target: string, secure: boolean): string {
  const address = target.replace(/^(dns:(\/\/\/)?|ipv[46]:)/, "");
  const url = /^[^/?#@\s]+:\d+$/.test(address) ? `${secure ? "https" : "http"}://${address}` : "";
  if (!URL.canParse(url)) {
    throw new RangeError(
      `the target ${JSON.stringify(target)} is not an address; use host:port, such as ${DEFAULT_TARGET}`,
    );
  }
  return url;
}

function timeoutOf(option: number | null | undefined, variable: string | undefined): number {
  if (option === null || (option === undefined && !variable)) return DEFAULT_TIMEOUT_MS;
  if (option !== undefined) {
    if (option >= 0) return option;
    throw new RangeError(
      `timeoutMs is ${option}; set it to a number of milliseconds, or to 0 for no deadline`,
    );
  }
  const seconds = Number(variable);
  if (seconds > 0 && seconds < Number.POSITIVE_INFINITY) return seconds * 1000;
  throw new RangeError(
    `RUNSVC_TIMEOUT is ${JSON.stringify(variable)}; set it to a number of seconds above 0`,
  );
}
