// The connection to the server: one HTTP/2 session, with deadlines and safe retries for unary calls.

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
import { bearer, lostConnections } from "./interceptors.js";
import { Attempts, isRepeatable } from "./retry.js";
import type { Settings } from "./settings.js";

/** Detects a peer that stopped responding within about 40 seconds, also on an idle watch. */
const KEEPALIVE = { pingIntervalMs: 30_000, pingTimeoutMs: 10_000 };

/** Connects with the first call, and again after the connection was lost. Does not keep the process alive when idle. */
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
      interceptors: [...interceptors, lostConnections, ...(token === undefined ? [] : [bearer(token)])],
    });
  }

  /** Close the connection. Open calls and watches fail, and so do later calls. */
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
        return await this.#transport.unary(method, signal, attempts.remainingMs(), header, input, context);
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
    if (this.#closed) throw new ConnectError("the client is closed; create a new one", Code.Aborted);
  }
}
