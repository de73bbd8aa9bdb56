// The HTTP/2 session of a connection.

import type { ClientHttp2Stream, Http2Session } from "node:http2";
import { Http2SessionManager } from "@connectrpc/connect-node";

/**
 * A session that survives its server. When a server ends an idle session, Node.js reports that as an error once the socket
 * is closed. By then the manager may have replaced the session, and an error without a listener ends the program.
 */
export class Session extends Http2SessionManager {
  readonly #known = new WeakSet<Http2Session>();

  override async request(...request: Parameters<Http2SessionManager["request"]>): Promise<ClientHttp2Stream> {
    const stream = await super.request(...request);
    const { session } = stream;
    if (session && !this.#known.has(session)) {
      this.#known.add(session);
      session.on("error", () => undefined);
    }
    return stream;
  }
}
