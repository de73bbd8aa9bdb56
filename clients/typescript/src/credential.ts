// The sources of a token.

import { readFileSync, statSync } from "node:fs";
import { Code, ConnectError } from "@connectrpc/connect";

/** The token, or a function that returns it and is called before every call and every connection of a watch. */
export type Token = string | (() => string | Promise<string>);

/** The token of a client, or its source. */
export interface Credential {
  /** The present token. Empty if none is sent. */
  token(): string | Promise<string>;
  /** Whether a token that is fetched anew differs from this one, with which a call was refused. */
  isRenewedAfter(refused: string): boolean | Promise<boolean>;
}

/** The credential with this token, or with the token that this function returns. */
export function credentialOf(token: Token | undefined): Credential {
  if (typeof token === "function") return new TokenFunction(token);
  return { token: () => token ?? "", isRenewedAfter: () => false };
}

/** A function that is called for each token. */
class TokenFunction implements Credential {
  readonly #fetch: () => string | Promise<string>;
  /** Fetched after a refusal, and not sent yet. */
  #fresh: string | undefined;

  constructor(fetch: () => string | Promise<string>) {
    this.#fetch = fetch;
  }

  token(): string | Promise<string> {
    const fresh = this.#fresh;
    this.#fresh = undefined;
    return fresh ?? this.#fetch();
  }

  async isRenewedAfter(refused: string): Promise<boolean> {
    const fresh = await this.#fetch();
    if (fresh === refused) return false;
    this.#fresh = fresh;
    return true;
  }
}

/** A file that holds a token. While it cannot be read, the last token is used. */
export class TokenFile implements Credential {
  readonly #path: string;
  #last: { version: string; token: string } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  token(): string {
    return this.#read((version) => version === this.#last?.version);
  }

  isRenewedAfter(refused: string): boolean {
    return this.#read(() => false) !== refused;
  }

  #read(isCurrent: (version: string) => boolean): string {
    try {
      const version = versionOf(this.#path);
      if (!isCurrent(version)) this.#last = { version, token: tokenIn(this.#path) };
    } catch (error) {
      if (!this.#last) {
        throw new ConnectError(
          `there is no token: ${error}`,
          Code.Unauthenticated,
          undefined,
          undefined,
          error,
        );
      }
    }
    return this.#last?.token ?? "";
  }
}

/** Changes when a file is replaced or written. */
function versionOf(path: string): string {
  const { mtimeNs, size, ino } = statSync(path, { bigint: true });
  return `${mtimeNs} ${size} ${ino}`;
}

function tokenIn(path: string): string {
  const token = readFileSync(path, "utf8").trim();
  // A file that is being written is empty at first.
  if (!/^[!-~]+$/.test(token)) throw new Error(`${path} must contain one token, and nothing else`);
  return token;
}
