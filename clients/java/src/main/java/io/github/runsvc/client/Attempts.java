package io.github.runsvc.client;

import io.grpc.Deadline;
import io.grpc.StatusException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** The attempts at one call, within the deadline of the call. */
final class Attempts {
  private static final int MAX = 4;

  private final Connection connection;
  private final Deadline deadline;
  private final boolean repeatable;
  private final Backoff backoff = new Backoff();
  private int made;

  /**
   * Starts the timeout.
   *
   * @param repeatable whether the call may be sent twice; otherwise there is one attempt
   */
  Attempts(Connection connection, Duration timeout, boolean repeatable) {
    this.connection = connection;
    this.deadline = Deadline.after(Lengths.nanos(timeout), TimeUnit.NANOSECONDS);
    this.repeatable = repeatable;
  }

  /** Returns the call's answer, or throws the failure of its last attempt. */
  <T> T make(Call<T> call) {
    while (true) {
      try {
        return call.send(deadline);
      } catch (StatusException status) {
        boolean isOwn = connection.isClosed() || Thread.currentThread().isInterrupted();
        RunException failure = RunException.of(status);
        pauseAfter(isOwn ? failure : failure.uncancelled());
      }
    }
  }

  /** Waits until the next attempt is due, or throws the failure if that was the last attempt. */
  private void pauseAfter(RunException failure) {
    if (!repeatable || ++made == MAX || !failure.isWorthRetry()) {
      throw failure;
    }
    Duration pause = backoff.pause(failure);
    if (deadline.timeRemaining(TimeUnit.NANOSECONDS) <= pause.toNanos()) {
      throw failure;
    }
    try {
      TimeUnit.NANOSECONDS.sleep(pause.toNanos());
      connection.retryNow();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw failure;
    }
  }

  /** One attempt. */
  interface Call<T> {
    T send(Deadline deadline) throws StatusException;
  }
}
