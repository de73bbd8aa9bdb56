// The sockets of the connections.

import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import type { Settings, TlsSettings } from "./settings.js";

/** Returns a function that makes the sockets of a client. */
export function socketsOf({ baseUrl, socketPath, tls }: Settings): () => Socket {
  if (tls) {
    const connector = new TlsConnector(baseUrl, tls);
    return () => connector.connect();
  }
  const { hostname, port } = new URL(baseUrl);
  const address =
    socketPath === undefined ? { host: hostOf(hostname), port: Number(port || 80) } : { path: socketPath };
  return () => connectPlain(address);
}

function hostOf(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "");
}

/**
 * Makes connections with TLS. The certificates are read again for each, so that replaced files take effect. While they
 * cannot be used, such as between two moves, the last ones are.
 */
class TlsConnector {
  readonly #url: URL;
  readonly #read: () => TlsSettings;
  #last: SecureContext | undefined;

  constructor(baseUrl: string, read: () => TlsSettings) {
    this.#url = new URL(baseUrl);
    this.#read = read;
  }

  connect(): TLSSocket {
    const host = hostOf(this.#url.hostname);
    return connect({
      host,
      port: Number(this.#url.port || 443),
      servername: isIP(host) ? "" : host,
      ALPNProtocols: ["h2"],
      secureContext: this.#context(),
    });
  }

  #context(): SecureContext {
    try {
      this.#last = createSecureContext(this.#read());
    } catch (error) {
      if (!this.#last) throw error;
    }
    return this.#last;
  }
}
