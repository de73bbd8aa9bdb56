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
  private final Connection connection;
  private final Duration outage;
  private final Backoff backoff = new Backoff();
  private final CountDownLatch left = new CountDownLatch(1);

  /** What goes on from the last event that was handed out. */
  private final StreamStatusRequest.Builder request;

  /** What is read; null between two connections. Guarded by this, for any thread may close it. */
  private BlockingClientCall<?, StreamStatusResponse> stream;

  private StreamStatusResponse next;
  private boolean ended;

  /** When the watch began to fail, by System.nanoTime(); null when something came since. */
  private Long failingSince;

  Watch(Connection connection, StreamStatusRequest request, Duration outage) {
    this.connection = connection;
    this.request = request.toBuilder();
    this.outage = outage;
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
  }

  /** Waits until connecting again is due, or throws a failure that this does not mend. */
  private void recover(RunException failure) throws InterruptedException {
    synchronized (this) {
      stream = null;
    }
    long patience = patience();
    if (isLeft()) {
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
    long now = System.nanoTime();
    if (failingSince == null) {
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
