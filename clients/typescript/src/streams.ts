// The connections of a client's watches. A server limits the calls of one connection; more would wait.

/** Watches on the connection of the other calls, which need room for themselves. */
const SHARED = 50;
/** Watches on each further connection. */
const OWN = 90;

interface Line<T> {
  readonly connection: T;
  readonly limit: number;
  open: number;
}

/** Finds a connection for each stream: that of the calls, and further ones when it is full. */
export class Streams<T> {
  readonly #lines: Line<T>[];
  readonly #connect: () => T;

  constructor(connection: T, connect: () => T) {
    this.#lines = [{ connection, limit: SHARED, open: 0 }];
    this.#connect = connect;
  }

  /** All connections. */
  get connections(): T[] {
    return this.#lines.map(({ connection }) => connection);
  }

  /** Take the room for a stream. The returned function gives it back. */
  take(): { connection: T; giveBack: () => void } {
    const line = this.#lines.find(({ open, limit }) => open < limit) ?? this.#add();
    line.open += 1;
    let isTaken = true;
    const giveBack = () => {
      if (isTaken) line.open -= 1;
      isTaken = false;
    };
    return { connection: line.connection, giveBack };
  }

  #add(): Line<T> {
    const line = { connection: this.#connect(), limit: OWN, open: 0 };
    this.#lines.push(line);
    return line;
  }
}
