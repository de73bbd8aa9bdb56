// The connection to the server, with deadlines and safe retries for unary calls.

import type { DescMessage, DescMethodStreaming, DescMethodUnary, MessageInitShape } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  createContextValues,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { pause } from "./backoff.js";
import type { Credential } from "./credential.js";
import { RunError } from "./errors.js";
import { bearer, lostConnections, ownerOf, sentToken } from "./interceptors.js";
import { Attempts, isRepeatable } from "./retry.js";
import { Session } from "./session.js";
import type { Settings } from "./settings.js";
import { socketsOf } from "./sockets.js";
import { Streams } from "./streams.js";

/** Detects a peer that stopped responding within about 40 seconds, also on an idle watch. */
const KEEPALIVE = { pingIntervalMs: 30_000, pingTimeoutMs: 10_000 };

/** One HTTP/2 session, which is opened with the first call, and again after it was lost. */
interface Line {
  readonly session: Session;
  readonly transport: Transport;
}

/** The sessions of a client. They do not keep the process alive when idle. */
class Sessions {
  readonly first: Line;
  readonly streams: Streams<Line>;
  isClosed = false;

  constructor(settings: Settings) {
    this.first = lineOf(settings);
    this.streams = new Streams(this.first, () => lineOf(settings));
  }

  close(): void {
    this.isClosed = true;
    for (const { session } of this.streams.connections) session.abort();
  }

  checkOpen(): void {
    if (this.isClosed) throw new ConnectError("the client is closed; create a new one", Code.Aborted);
  }
}

/** The calls of a client, for all owners or for one. */
export class Connection implements Transport {
  readonly credential: Credential;
  readonly #timeoutMs: number;
  readonly #sessions: Sessions;
  readonly #owner: string | undefined;

  constructor(settings: Settings, shared?: { sessions: Sessions; owner: string }) {
    this.credential = settings.credential;
    this.#timeoutMs = settings.timeoutMs;
    this.#sessions = shared?.sessions ?? new Sessions(settings);
    this.#owner = shared?.owner;
  }

  /** A connection with the same sessions, for the runs of one owner. */
  forOwner(settings: Settings, owner: string): Connection {
    return new Connection(settings, { sessions: this.#sessions, owner });
  }

  /** Close the sessions. Open calls and watches fail, and so do later calls. */
  close(): void {
    this.#sessions.close();
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeadersInit | undefined,
    input: MessageInitShape<I>,
    context: ContextValues = createContextValues(),
  ): Promise<UnaryResponse<I, O>> {
    const attempts = new Attempts(isRepeatable(method, input), timeoutMs ?? this.#timeoutMs);
    const { transport } = this.#sessions.first;
    for (let hasNewToken = false; ; ) {
      try {
        this.#sessions.checkOpen();
        const sent = this.#withOwner(context);
        return await transport.unary(method, signal, attempts.remainingMs(), header, input, sent);
      } catch (error) {
        this.#sessions.checkOpen();
        const failure = RunError.from(error);
        if (!hasNewToken && !signal?.aborted && (await this.isRenewedAfter(failure, context))) {
          hasNewToken = true;
          continue;
        }
        const milliseconds = signal?.aborted ? undefined : attempts.pauseAfter(failure);
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
    context: ContextValues = createContextValues(),
  ): Promise<StreamResponse<I, O>> {
    this.#sessions.checkOpen();
    const { connection, giveBack } = this.#sessions.streams.take();
    const ended = () => {
      signal?.removeEventListener("abort", ended);
      giveBack();
    };
    // A stream that is aborted before its first message has no end.
    signal?.addEventListener("abort", ended);
    try {
      const sent = this.#withOwner(context);
      const response = await connection.transport.stream(method, signal, timeoutMs ?? 0, header, input, sent);
      return { ...response, message: untilEnd(response.message, ended) };
    } catch (error) {
      ended();
      throw error;
    }
  }

  /** Whether the server refused the token of the call with this context, and there is another. */
  async isRenewedAfter(failure: RunError, context: ContextValues): Promise<boolean> {
    const refused = context.get(sentToken);
    // Without a token that was sent, the source of the token failed.
    if (failure.code !== Code.Unauthenticated || refused === undefined) return false;
    return this.credential.isRenewedAfter(refused);
  }

  #withOwner(context: ContextValues): ContextValues {
    return context.set(ownerOf, this.#owner).set(sentToken, undefined);
  }
}

function lineOf(settings: Settings): Line {
  const { baseUrl, credential, interceptors } = settings;
  const session = new Session(baseUrl, KEEPALIVE, { createConnection: socketsOf(settings) });
  const every = [...interceptors, bearer(credential), lostConnections];
  return {
    session,
    transport: createGrpcTransport({ baseUrl, sessionManager: session, interceptors: every }),
  };
}

async function* untilEnd<T>(messages: AsyncIterable<T>, ended: () => void): AsyncGenerator<T> {
  try {
    yield* messages;
  } finally {
    ended();
  }
}
