// The settings of a client, from options and from the environment.

import { readFileSync } from "node:fs";
import type { Interceptor } from "@connectrpc/connect";
import { type Credential, credentialOf, type Token, TokenFile } from "./credential.js";

/** The address on which `runsvc serve` listens by default. */
export const DEFAULT_TARGET = "127.0.0.1:50051";

const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * The settings of a client. An option that is left out comes from its environment variable. `null` ignores the variable
 * and takes the default.
 */
export interface ClientOptions {
  /**
   * The token, sent as `authorization: Bearer …`, or a function that returns it. The function is called before every
   * call and every connection of a watch, and again after a refusal as UNAUTHENTICATED. Variable: `RUNSVC_TOKEN`.
   * Default: the token of `tokenFile`, or none.
   */
  token?: Token | null;
  /**
   * The path of a file that contains the token, and nothing else but white space. It is read again when it has changed.
   * While it cannot be read, the last token is used. Variable: `RUNSVC_TOKEN_FILE`.
   */
  tokenFile?: string | null;
  /**
   * The certificates to trust: the path of a PEM file, or its content as bytes. Switches TLS on. A file is read again
   * for each new connection. Variable: `RUNSVC_TLS_CA`, a path. Default: no TLS.
   */
  tlsCa?: string | Uint8Array | null;
  /**
   * The client's own certificate: the path of a PEM file, or its content as bytes. Needs `tlsKey`. Switches TLS on;
   * without `tlsCa`, the certificates that Node.js contains are trusted. Variable: `RUNSVC_TLS_CERT`, a path.
   */
  tlsCert?: string | Uint8Array | null;
  /** The private key of `tlsCert`, in the same way. Variable: `RUNSVC_TLS_KEY`, a path. */
  tlsKey?: string | Uint8Array | null;
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
  /** The path of a socket on this machine, instead of the address in the URL. */
  readonly socketPath: string | undefined;
  readonly credential: Credential;
  /** Reads the certificates and the key. Undefined: no TLS. */
  readonly tls: (() => TlsSettings) | undefined;
  readonly timeoutMs: number;
  readonly interceptors: readonly Interceptor[];
}

/** Certificates and keys in PEM. */
export interface TlsSettings {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/**
 * Resolve the options against the environment and the defaults.
 *
 * @throws RangeError if the target or the timeout is invalid, or options contradict each other; the error of
 * readFileSync if the certificates cannot be read.
 */
export function settingsOf(
  target: string | null | undefined,
  options: ClientOptions,
  environment: NodeJS.ProcessEnv,
): Settings {
  const tls = tlsOf(options, environment);
  const address = resolve(target, environment.RUNSVC_TARGET) ?? DEFAULT_TARGET;
  const socketPath = /^unix:(?:\/\/(?=\/))?(.+)$/.exec(address)?.[1];
  if (socketPath !== undefined && tls) {
    throw new RangeError(
      `the target ${JSON.stringify(address)} is a socket of this machine, which is not encrypted; leave out the certificates`,
    );
  }
  return {
    baseUrl: socketPath === undefined ? urlOf(address, tls !== undefined) : "http://localhost",
    socketPath,
    credential: chooseCredential(options, environment),
    tls,
    timeoutMs: timeoutOf(options.timeoutMs, environment.RUNSVC_TIMEOUT),
    interceptors: options.interceptors ?? [],
  };
}

/** The option, else the variable with the token, else the one with its file. */
function chooseCredential({ token, tokenFile }: ClientOptions, environment: NodeJS.ProcessEnv): Credential {
  const { RUNSVC_TOKEN, RUNSVC_TOKEN_FILE } = environment;
  if (token != null && tokenFile != null) {
    throw new RangeError("token and tokenFile are both set; leave out one of them");
  }
  if (token != null) return credentialOf(token);
  if (tokenFile != null) return new TokenFile(tokenFile);
  if (token === null) return credentialOf(undefined);
  if (RUNSVC_TOKEN && RUNSVC_TOKEN_FILE && tokenFile === undefined) {
    throw new RangeError("RUNSVC_TOKEN and RUNSVC_TOKEN_FILE are both set; unset one of them");
  }
  if (RUNSVC_TOKEN_FILE && tokenFile === undefined) return new TokenFile(RUNSVC_TOKEN_FILE);
  return credentialOf(RUNSVC_TOKEN || undefined);
}

function tlsOf(options: ClientOptions, environment: NodeJS.ProcessEnv): (() => TlsSettings) | undefined {
  const ca = resolve(options.tlsCa, environment.RUNSVC_TLS_CA);
  const cert = resolve(options.tlsCert, environment.RUNSVC_TLS_CERT);
  const key = resolve(options.tlsKey, environment.RUNSVC_TLS_KEY);
  if (!cert !== !key) {
    throw new RangeError(
      "tlsCert and tlsKey (RUNSVC_TLS_CERT, RUNSVC_TLS_KEY) belong together; set both or none",
    );
  }
  if (!ca && !cert) return undefined;
  const read = () => ({
    ...(ca && { ca: pemOf(ca) }),
    ...(cert && { cert: pemOf(cert) }),
    ...(key && { key: pemOf(key) }),
  });
  // Files that are missing are an error at once.
  read();
  return read;
}

function pemOf(file: string | Uint8Array): Buffer {
  return typeof file === "string" ? readFileSync(file) : Buffer.from(file);
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
      `the target ${JSON.stringify(target)} is not an address; use host:port, such as ${DEFAULT_TARGET}, or unix:/path`,
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
