// What every call of a client goes through, on its way out and back.

import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { isFromServer } from "./errors.js";
import type { Token } from "./settings.js";

/** Puts the token on calls and streams alike. */
export function bearer(token: Token): Interceptor {
  return (next) => async (request) => {
    const present = typeof token === "function" ? await token() : token;
    request.header.set("authorization", `Bearer ${present}`);
    return next(request);
  };
}

/**
 * Says UNAVAILABLE where the connection was lost or could not be made. The transport calls that cancelled, aborted or
 * internal, which nobody asked for: neither the caller, whose signal it would be, nor the server, whose status it would have.
 */
export const lostIsUnavailable: Interceptor = (next) => async (request) => {
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
  if (!(error instanceof ConnectError) || signal.aborted || isFromServer(error)) return error;
  if (error.code !== Code.Canceled && error.code !== Code.Aborted && !isOfNode(error.cause)) return error;
  return new ConnectError(
    `no connection: ${error.rawMessage}`,
    Code.Unavailable,
    undefined,
    undefined,
    error,
  );
}

/** Whether it is an error of a socket, of TLS or of HTTP/2. */
function isOfNode(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && typeof cause.code === "string";
}
