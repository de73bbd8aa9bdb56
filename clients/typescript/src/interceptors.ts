// The interceptors of every call and watch.

import { Code, ConnectError, createContextKey, type Interceptor } from "@connectrpc/connect";
import type { Credential } from "./credential.js";
import { isFromServer } from "./errors.js";

/** The token that was sent with a call. Empty if none was sent; undefined before a call is sent. */
export const sentToken = createContextKey<string | undefined>(undefined);
/** The owner to which a call is narrowed. */
export const ownerOf = createContextKey<string | undefined>(undefined);

/** Adds the token and the owner to calls and watches. */
export function bearer(credential: Credential): Interceptor {
  return (next) => async (request) => {
    const token = await credential.token();
    if (token) request.header.set("authorization", authorization(token));
    const owner = request.contextValues.get(ownerOf);
    if (owner !== undefined) request.header.set("runsvc-owner", owner);
    request.contextValues.set(sentToken, token);
    return next(request);
  };
}

function authorization(token: string): string {
  if (/^[ -~]*$/.test(token)) return `Bearer ${token}`;
  throw new ConnectError(
    "the token has characters that a header cannot carry; use visible ASCII only",
    Code.Unauthenticated,
  );
}

/**
 * Reports a connection that was lost or never made as UNAVAILABLE. The transport reports it as CANCELLED, ABORTED or
 * INTERNAL, although neither the signal of the caller nor a status of the server caused it. A server that is stopping
 * or has too many calls sends CANCELLED, which also means UNAVAILABLE if the caller did not cancel the call.
 */
export const lostConnections: Interceptor = (next) => async (request) => {
  try {
    const response = await next(request);
    if (!response.stream) return response;
    return { ...response, message: translated(response.message, request.signal) };
  } catch (error) {
    throw translate(error, request.signal);
  }
};

async function* translated<T>(messages: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    throw translate(error, signal);
  }
}

function translate(error: unknown, signal: AbortSignal): unknown {
  if (!(error instanceof ConnectError) || signal.aborted) return error;
  if (isFromServer(error) && error.code !== Code.Canceled) return error;
  if (error.code !== Code.Canceled && error.code !== Code.Aborted && !isOfNode(error.cause)) return error;
  return new ConnectError(
    `no connection to the server: ${error.rawMessage}`,
    Code.Unavailable,
    undefined,
    undefined,
    error,
  );
}

/** Whether this is an error of a socket, of TLS or of HTTP/2. */
function isOfNode(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && typeof cause.code === "string";
}
