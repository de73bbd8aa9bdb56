package io.github.runsvc.client;

import io.grpc.ManagedChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/**
 * The connection of a client's calls, and further ones for its watches: a server accepts 250 calls
 * at a time on one connection, and more would wait.
 */
final class Connections implements AutoCloseable {
  /** Watches on the connection of the other calls, which need room for themselves. */
  private static final int MAX_SHARED = 50;

  /** Watches on each further connection. */
  private static final int MAX_OWN = 90;

  final TokenSource tokens;
  final Connection first;

  /** Opens a further channel; null if the caller has given the only one. */
  private final Supplier<ManagedChannel> opener;

  private final List<Line> lines = new ArrayList<>();
  private boolean closed;

  /** A connection with room for a number of watches. */
  static final class Line {
    final Connection connection;
    private final int limit;
    private int used;

    private Line(Connection connection, int limit) {
      this.connection = connection;
      this.limit = limit;
    }
  }

  Connections(ManagedChannel first, Supplier<ManagedChannel> opener, TokenSource tokens) {
    this.tokens = tokens;
    this.opener = opener;
    this.first = new Connection(first, tokens);
    lines.add(new Line(this.first, opener == null ? Integer.MAX_VALUE : MAX_SHARED));
  }

  /** Returns a connection with room for one more watch. Opens one if all are full. */
  synchronized Line take() {
    for (Line line : lines) {
      if (line.used < line.limit || closed) {
        line.used++;
        return line;
      }
    }
    Line opened = new Line(new Connection(opener.get(), tokens), MAX_OWN);
    opened.used = 1;
    lines.add(opened);
    return opened;
  }

  /** Returns the room of a watch that has ended. */
  synchronized void giveBack(Line line) {
    line.used--;
  }

  boolean isClosed() {
    return first.isClosed();
  }

  /** Connects at once where a channel is in one of its own pauses, of up to two minutes. */
  synchronized void retryNow() {
    lines.forEach(line -> line.connection.retryNow());
  }

  /** Ends calls in progress, and waits up to 5 seconds until the connections are closed. */
  @Override
  public void close() {
    List<Line> all;
    synchronized (this) {
      closed = true;
      all = List.copyOf(lines);
    }
    all.forEach(line -> line.connection.shutdown());
    Connection.awaitClosed(all.stream().map(line -> line.connection).toList());
  }
}
