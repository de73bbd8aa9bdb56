package io.github.runsvc.client;

import io.github.runsvc.v1.RunServiceGrpc.RunServiceBlockingV2Stub;
import io.github.runsvc.v1.StatusEvent;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.StreamStatusResponse;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import java.time.Duration;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.OptionalLong;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.function.UnaryOperator;

/**
 * An iteration over the events of a watch, in revision order, without a gap and without a repeated
 * change. After a lost connection or a restart of the server it reconnects and resumes from its
 * position. If the connection is lost within the snapshot, it starts again with a new snapshot.
 * Heartbeats are not returned.
 *
 * <p>A watch of one run ends after the run's last change. To leave a watch earlier, close it, from
 * any thread: this ends the server's stream at once. Only one thread at a time may read a watch.
 *
 * <p>Reading throws a {@link RunException} if the server rejects the request, if the client is
 * closed, or if the watch finds no server for longer than its outage.
 */
public final class Watch
    implements Iterable<StreamStatusResponse>, Iterator<StreamStatusResponse>, AutoCloseable {
  /**
   * Longer than any attempt to connect. A stream that lasted longer had a connection, even if no
   * event arrived.
   */
  private static final Duration MIN_CONNECTED = Duration.ofSeconds(10);

  private final Connections connections;
  private final UnaryOperator<RunServiceBlockingV2Stub> view;
  private final Duration outage;

  /** Nanoseconds from an arbitrary origin. */
  private final LongSupplier clock;

  private final Backoff backoff = new Backoff();
  private final CountDownLatch left = new CountDownLatch(1);

  /** The request, with the position after the last event that was returned. */
  private final StreamStatusRequest.Builder request;

  /** The open stream, or null. Guarded by this, because any thread may close the watch. */
  private BlockingClientCall<?, StreamStatusResponse> stream;

  /** The connection of the open stream, or null. Guarded by this. */
  private Connections.Line line;

  /** The token of the present stream. */
  private String token;

  /**
   * The token for the next stream, in place of one that the server refused; null if there is none.
   */
  private String renewed;

  /** The server refused the token, and has sent nothing since. */
  private boolean refused;

  private StreamStatusResponse next;
  private boolean ended;

  /** The watched run has reached its final state. */
  private boolean isFinal;

  /** The final state was returned, and the snapshot is complete: no event can follow. */
  private boolean complete;

  /** When the present stream was opened, by the clock. */
  private long opened;

  /** When the present outage began, by the clock; null if there is none. */
  private Long outageBegan;

  Watch(
      Connections connections,
      UnaryOperator<RunServiceBlockingV2Stub> view,
      StreamStatusRequest request,
      Duration outage,
      LongSupplier clock) {
    this.connections = connections;
    this.view = view;
    this.request = request.toBuilder();
    this.outage = outage;
    this.clock = clock;
  }

  /** Returns this watch, for use in a loop. */
  @Override
  public Iterator<StreamStatusResponse> iterator() {
    return this;
  }

  /**
   * Waits for the next event.
   *
   * @return false if the watch has ended or was closed
   * @throws RunException if the watch fails; with code CANCELLED if the thread was interrupted
   */
  @Override
  public boolean hasNext() {
    while (next == null && !ended) {
      try {
        receive();
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
        close();
        throw RunException.of(Status.CANCELLED.withCause(interrupted).asException());
      }
    }
    return next != null;
  }

  @Override
  public StreamStatusResponse next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    StreamStatusResponse event = next;
    next = null;
    moveTo(event);
    return event;
  }

  /**
   * Returns the position, for use as after_revision of a later watch. It is empty until the
   * snapshot is complete.
   */
  public OptionalLong revision() {
    return request.hasAfterRevision()
        ? OptionalLong.of(request.getAfterRevision())
        : OptionalLong.empty();
  }

  /** Returns the id of the store that the revision belongs to. It is empty until it is known. */
  public String storeId() {
    return request.getStoreId();
  }

  /** Leaves the watch, and ends the server's stream. */
  @Override
  public synchronized void close() {
    left.countDown();
    if (stream != null) {
      stream.cancel("The watch was left", null);
    }
    giveBack();
  }

  private void receive() throws InterruptedException {
    try {
      StreamStatusResponse event = isLeft() ? null : open().read();
      if (event == null) {
        ended = true;
        giveBack();
      } else {
        accept(event);
      }
    } catch (StatusException status) {
      recover(RunException.of(status));
    } catch (RunException noToken) {
      recover(noToken);
    }
  }

  private BlockingClientCall<?, StreamStatusResponse> open() {
    synchronized (this) {
      if (stream != null) {
        return stream;
      }
    }
    opened = clock.getAsLong();
    token = renewed == null ? connections.tokens.token() : renewed;
    renewed = null;
    synchronized (this) {
      line = connections.take();
      stream =
          view.apply(line.connection.runs)
              .withOption(Credentials.TOKEN, token)
              .streamStatus(request.build());
      if (isLeft()) {
        close();
      }
      return stream;
    }
  }

  /** Gives up the place on the connection. */
  private synchronized void giveBack() {
    if (line != null) {
      connections.giveBack(line);
      line = null;
    }
  }

  private void accept(StreamStatusResponse event) {
    outageBegan = null;
    refused = false;
    backoff.reset();
    if (event.getEvent() == StatusEvent.STATUS_EVENT_HEARTBEAT) {
      moveTo(event);
    } else {
      next = event;
    }
  }

  private void moveTo(StreamStatusResponse event) {
    if (event.getRevision() != 0 || event.getEvent() == StatusEvent.STATUS_EVENT_SNAPSHOT_END) {
      request.setAfterRevision(event.getRevision());
    }
    if (!event.getStoreId().isEmpty()) {
      request.setStoreId(event.getStoreId());
    }
    if (request.hasRunId()) {
      isFinal = event.hasRun() ? isFinal(event) : isFinal;
      complete = isFinal && event.getEvent() != StatusEvent.STATUS_EVENT_SNAPSHOT;
    }
  }

  /** Whether no further change of the watched run can follow. */
  private boolean isFinal(StreamStatusResponse event) {
    if (event.getEvent() == StatusEvent.STATUS_EVENT_DELETED) {
      return true;
    }
    return switch (event.getRun().getStatus()) {
      case RUN_STATUS_SUCCESS, RUN_STATUS_ERROR, RUN_STATUS_TIMEOUT -> true;
      case RUN_STATUS_INTERRUPTED ->
          !request.getUntilAcknowledged() || event.getRun().getCancellation().hasAcknowledgedAt();
      default -> false;
    };
  }

  /** Waits until the next attempt to connect is due, or throws a lasting failure. */
  private void recover(RunException failure) throws InterruptedException {
    synchronized (this) {
      stream = null;
      giveBack();
    }
    // If so, the client has asked a second time for the end of the stream.
    boolean isRepeated = outageBegan != null;
    boolean isClosed = connections.isClosed();
    if (!isClosed && !isLeft() && isRenewed(failure)) {
      return;
    }
    long remaining = remainingOutage();
    if (isLeft() || complete && isRepeated && isConnectionLoss(failure)) {
      ended = true;
    } else if (remaining <= 0 || !isConnectionLoss(failure) || isClosed) {
      ended = true;
      throw isClosed ? failure : failure.uncancelled();
    } else {
      left.await(Math.min(backoff.pause(failure).toNanos(), remaining), TimeUnit.NANOSECONDS);
      connections.retryNow();
    }
  }

  /** Fetches a token in place of one that the server refused. Returns false if there is none. */
  private boolean isRenewed(RunException failure) {
    if (!failure.isUnauthenticated() || refused) {
      return false;
    }
    refused = true;
    try {
      renewed = connections.tokens.renewed(token == null ? "" : token);
    } catch (RunException noToken) {
      ended = true;
      throw noToken;
    }
    return renewed != null;
  }

  /** Records the failure of a stream, and returns the nanoseconds until the watch gives up. */
  private long remainingOutage() {
    long now = clock.getAsLong();
    if (outageBegan == null || now - opened > MIN_CONNECTED.toNanos()) {
      outageBegan = now;
    }
    return Lengths.nanos(outage) - (now - outageBegan);
  }

  /**
   * Some transports report a lost connection as INTERNAL or CANCELLED. A server that is too busy
   * for the watch counts as lost too.
   */
  private static boolean isConnectionLoss(RunException failure) {
    if (failure.isOverload()) {
      return true;
    }
    return switch (failure.code()) {
      case UNAVAILABLE -> true;
      case INTERNAL, CANCELLED -> failure.fromTransport();
      default -> false;
    };
  }

  private boolean isLeft() {
    return left.getCount() == 0;
  }
}
