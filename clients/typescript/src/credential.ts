// The sources of a token.

import { readFileSync, statSync } from "node:fs";
import { Code, ConnectError } from "@connectrpc/connect";

/** The token, or a function that returns it and is called before every call and every connection of a watch. */
export type Token = string | (() => string | Promise<string>);

/** The token of a client, or its source. */
export interface Credential {
  /** The present token. Empty if none is sent. */
  token(): string | Promise<string>;
  /** Whether a call that was refused with this token can succeed with a token that is fetched anew. */
  isRenewedAfter(refused: string): boolean;
}

/** The credential with this token, or with the token that this function returns. */
export function credentialOf(token: Token | undefined): Credential {
  if (typeof token === "function") return { token, isRenewedAfter: () => true };
  return { token: () => token ?? "", isRenewedAfter: () => false };
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
