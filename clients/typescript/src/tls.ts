// The connections with TLS.

import { isIP } from "node:net";
import { connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import type { TlsSettings } from "./settings.js";

/**
 * Makes connections with TLS. The certificates are read again for each, so that replaced files take effect. While they
 * cannot be used, such as between two moves, the last ones are.
 */
export class TlsConnector {
  readonly #url: URL;
  readonly #read: () => TlsSettings;
  #last: SecureContext | undefined;

  constructor(baseUrl: string, read: () => TlsSettings) {
    this.#url = new URL(baseUrl);
    this.#read = read;
  }

  connect(): TLSSocket {
    const host = this.#url.hostname.replace(/^\[|\]$/g, "");
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
