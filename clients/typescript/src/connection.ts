// The way to the server: one HTTP/2 connection, a deadline on every call that has one answer, retries where they are safe.

import type { DescMessage, DescMethodStreaming, DescMethodUnary, MessageInitShape } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { pause } from "./backoff.js";
import { RunError } from "./errors.js";
import { bearer, lostIsUnavailable } from "./interceptors.js";
import { Attempts, isRepeatable } from "./retry.js";
import type { Settings } from "./settings.js";

/** A peer that froze is noticed within some 40 seconds, also by a watch that nothing happens on. */
const KEEPALIVE = { pingIntervalMs: 30_000, pingTimeoutMs: 10_000 };

/** Connects with the first call, and anew whenever the connection was lost. Keeps no process alive by itself. */
export class Connection implements Transport {
  readonly #timeoutMs: number;
  readonly #session: Http2SessionManager;
  readonly #transport: Transport;
  #closed = false;

  constructor({ baseUrl, token, certificates, timeoutMs, interceptors }: Settings) {
    this.#timeoutMs = timeoutMs;
    const tls = certificates && { ca: Buffer.from(certificates) };
    this.#session = new Http2SessionManager(baseUrl, KEEPALIVE, tls);
    this.#transport = createGrpcTransport({
      baseUrl,
      sessionManager: this.#session,
      interceptors: [...interceptors, lostIsUnavailable, ...(token === undefined ? [] : [bearer(token)])],
    });
  }

  /** End every call and watch, and the connection. Calls made later fail. */
  close(): void {
    this.#closed = true;
    this.#session.abort();
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeadersInit | undefined,
    input: MessageInitShape<I>,
    context?: ContextValues,
  ): Promise<UnaryResponse<I, O>> {
    const attempts = new Attempts(isRepeatable(method, input), timeoutMs ?? this.#timeoutMs);
    for (;;) {
      try {
        this.#checkOpen();
        return await this.#transport.unary(method, signal, attempts.left(), header, input, context);
      } catch (error) {
        this.#checkOpen();
        const milliseconds = signal?.aborted ? undefined : attempts.pauseAfter(RunError.from(error));
        if (milliseconds === undefined) throw error;
        await pause(milliseconds, signal);
      }
    }
  }

  async stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeadersInit | undefined,
    input: AsyncIterable<MessageInitShape<I>>,
    context?: ContextValues,
  ): Promise<StreamResponse<I, O>> {
    this.#checkOpen();
    return this.#transport.stream(method, signal, timeoutMs ?? 0, header, input, context);
  }

  #checkOpen(): void {
    if (this.#closed) throw new ConnectError("the client was closed", Code.Aborted);
  }
}
