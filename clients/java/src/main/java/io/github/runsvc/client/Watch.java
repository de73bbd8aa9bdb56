package io.github.runsvc.client;

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

/**
 * The events of a watch: each change once, in order, also across lost connections and restarts of
 * the server. It ends when the server ends it: of one run, after its terminal change.
 *
 * <p>Close it, also from another thread, to leave before the end: that frees the server's stream at
 * once. It is read by one thread at a time, and holds no more than the event that it hands out. A
 * failure that connecting again cannot mend is a {@link RunException}; so is one that lasts longer
 * than the outage the watch was given.
 */
public final class Watch
    implements Iterable<StreamStatusResponse>, Iterator<StreamStatusResponse>, AutoCloseable {
  /**
   * A stream that stood for longer had a connection, also if nothing happened on it: making one
   * takes less.
   */
  private static final Duration CONNECTED = Duration.ofSeconds(10);

  private final Connection connection;
  private final Duration outage;

  /** Nanoseconds, of any origin. */
  private final LongSupplier clock;

  private final Backoff backoff = new Backoff();
  private final CountDownLatch left = new CountDownLatch(1);

  /** What goes on from the last event that was handed out. */
  private final StreamStatusRequest.Builder request;

  /** What is read; null between two connections. Guarded by this, for any thread may close it. */
  private BlockingClientCall<?, StreamStatusResponse> stream;

  private StreamStatusResponse next;
  private boolean ended;

  /** The run is as it will be for ever; and nothing that was asked for can follow. */
  private boolean ends;

  private boolean over;

  /** When the stream began, by the clock. */
  private long opened;

  /** When the watch began to fail, by the clock; null when something came since. */
  private Long failingSince;

  Watch(Connection connection, StreamStatusRequest request, Duration outage, LongSupplier clock) {
    this.connection = connection;
    this.request = request.toBuilder();
    this.outage = outage;
    this.clock = clock;
  }

  /** This watch, for a loop. */
  @Override
  public Iterator<StreamStatusResponse> iterator() {
    return this;
  }

  /**
   * Waits for the next event. False when the watch has ended or was closed.
   *
   * @throws RunException when it cannot go on; with code CANCELLED when the thread was interrupted
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
   * Where another watch would go on from, as its after_revision; empty until the snapshot is
   * complete.
   */
  public OptionalLong revision() {
    return request.hasAfterRevision()
        ? OptionalLong.of(request.getAfterRevision())
        : OptionalLong.empty();
  }

  /** The store that the revision belongs to; empty until it is known. */
  public String storeId() {
    return request.getStoreId();
  }

  /** Leaves the watch, and frees the server's stream. */
  @Override
  public synchronized void close() {
    left.countDown();
    if (stream != null) {
      stream.cancel("The watch was left", null);
    }
  }

  private void receive() throws InterruptedException {
    try {
      StreamStatusResponse event = isLeft() ? null : connected().read();
      if (event == null) {
        ended = true;
      } else {
        take(event);
      }
    } catch (StatusException status) {
      recover(RunException.of(status));
    }
  }

  private synchronized BlockingClientCall<?, StreamStatusResponse> connected() {
    if (stream == null) {
      opened = clock.getAsLong();
      stream = connection.runs.streamStatus(request.build());
    }
    return stream;
  }

  private void take(StreamStatusResponse event) {
    failingSince = null;
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
      ends = event.hasRun() ? isLast(event) : ends;
      over = ends && event.getEvent() != StatusEvent.STATUS_EVENT_SNAPSHOT;
    }
  }

  private boolean isLast(StreamStatusResponse event) {
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

  /** Waits until connecting again is due, or throws a failure that this does not mend. */
  private void recover(RunException failure) throws InterruptedException {
    synchronized (this) {
      stream = null;
    }
    // The server was asked once more for the end that it had no time to tell.
    boolean isAskedAgain = failingSince != null;
    long patience = patience();
    if (isLeft() || over && isAskedAgain && isPassing(failure)) {
      ended = true;
    } else if (patience <= 0 || !isPassing(failure) || connection.isClosed()) {
      ended = true;
      throw failure;
    } else {
      left.await(Math.min(backoff.pause(failure).toNanos(), patience), TimeUnit.NANOSECONDS);
      connection.retryNow();
    }
  }

  /** Nanoseconds for which the watch may go on failing. */
  private long patience() {
    long now = clock.getAsLong();
    if (failingSince == null || now - opened > CONNECTED.toNanos()) {
      failingSince = now;
    }
    return outage.toNanos() - (now - failingSince);
  }

  /** Some transports make INTERNAL or CANCELLED of a connection that was lost. */
  private static boolean isPassing(RunException failure) {
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
